//! Where a report is written: found to be possible before the run, and put there as a whole when there is one.
//!
//! A report of an earlier run is replaced, since that is what running a bench again is for. Anything else that is there
//! already is left alone, and said.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::Result;
use crate::failure::shown;

/// Every report has this near its beginning, and nothing else does.
pub const MARK: &str = "made by `locule bench`";
/// How far from the beginning it may be.
const MARK_BYTES: u64 = 200;

/// What a report is, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page with everything.
    Page,
    /// The plots alone, for a document.
    Picture,
}

/// A report that is still to be written.
pub struct ReportFile {
    path: PathBuf,
    kind: Kind,
    temporary: NamedTempFile,
    replaces_a_report: bool,
}

impl ReportFile {
    /// Makes sure that the report can be put there later: makes the file that will be it, beside its place.
    pub fn prepare(path: &Path) -> Result<ReportFile> {
        let kind = kind_of(path)?;
        // Behind a symbolic link the file is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let replaces_a_report = is_report(&path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new()
            .prefix(".locule-report-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(|error| refused(&path, &format!("cannot make a file in {}: {error}", shown(directory))))?;
        Ok(ReportFile { path, kind, temporary, replaces_a_report })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Puts the report in its place. Nobody sees a part of it.
    pub fn finish(mut self, content: &str) -> Result<PathBuf> {
        let path = &self.path;
        let written = self.temporary.write_all(content.as_bytes());
        written.map_err(|error| refused(path, &error.to_string()))?;
        // What came there during the run is no report of this program, or it is one, and then it is replaced.
        let put = if self.replaces_a_report || is_report(path)? {
            self.temporary.persist(path)
        } else {
            self.temporary.persist_noclobber(path)
        };
        put.map_err(|error| refused(path, &error.error.to_string()))?;
        Ok(self.path)
    }
}

fn refused(path: &Path, why: &str) -> String {
    format!("--report {}: {why}", shown(path))
}

fn kind_of(path: &Path) -> Result<Kind> {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => Ok(Kind::Page),
        Some("svg") => Ok(Kind::Picture),
        _ => Err(refused(path, "expected a name that ends in .html, for a page, or .svg, for the plots alone").into()),
    }
}

/// Whether an earlier report is there, which may be replaced; an error if something else is.
fn is_report(path: &Path) -> Result<bool> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A symbolic link to nothing is not followed: the file would be made in a place that nobody named.
        Err(_) if path.symlink_metadata().is_ok() => return Err(refused(path, "a symbolic link to nothing").into()),
        Err(_) => return Ok(false),
    };
    if !metadata.is_file() {
        return Err(refused(path, "something that is no file is there already").into());
    }
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MARK_BYTES).read_to_end(&mut beginning));
    if read.is_ok() && String::from_utf8_lossy(&beginning).contains(MARK) {
        return Ok(true);
    }
    let why = "a file is there already that is no report of `locule bench`: it stays as it is; take another name";
    Err(refused(path, why).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        ReportFile::prepare(path).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn content() -> String {
        format!("<!-- {MARK} -->")
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_report_takes_the_place_of_one_and_of_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.html");
        for _ in 0..2 {
            let file = ReportFile::prepare(&path).unwrap();
            assert_eq!(file.kind(), Kind::Page);
            file.finish(&content()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content());
        }
        fs::write(&path, "<html>my page</html>").unwrap();
        assert!(refusal(&path).contains("no report of `locule bench`"), "{}", refusal(&path));
        assert_eq!(fs::read_to_string(&path).unwrap(), "<html>my page</html>");
        assert_eq!(names(directory.path()), ["out.html"]);
    }

    #[test]
    fn what_came_during_the_run_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.svg");
        let file = ReportFile::prepare(&path).unwrap();
        assert_eq!(file.kind(), Kind::Picture);
        fs::write(&path, "mine").unwrap();
        assert!(file.finish(&content()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(names(directory.path()), ["out.svg"]);
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_the_run_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        assert!(refusal(&here.join("no/out.html")).contains("cannot make a file in"));
        assert!(refusal(&here.join("out.txt")).contains("ends in .html"));
        assert!(refusal(&here.join("out")).contains("ends in .html"));
        fs::create_dir(here.join("directory.html")).unwrap();
        assert!(refusal(&here.join("directory.html")).contains("no file"));
        std::os::unix::fs::symlink("nowhere.html", here.join("link.html")).unwrap();
        assert!(refusal(&here.join("link.html")).contains("link to nothing"));
        drop(ReportFile::prepare(&here.join("unused.html")).unwrap());
        let mut left = names(here);
        left.sort();
        assert_eq!(left, ["directory.html", "link.html"]);
    }

    #[test]
    fn a_link_to_a_report_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("out.html"), directory.path().join("newest.html"));
        fs::write(&path, content()).unwrap();
        std::os::unix::fs::symlink("out.html", &link).unwrap();
        ReportFile::prepare(&link).unwrap().finish(&(content() + "new")).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), content() + "new");
    }
}

//! Where a report is written: found to be possible before the run, and put there as a whole when there is one.
//!
//! A report of an earlier run is replaced, since that is what running a bench again is for. Anything else that is there
//! already is left alone, and said.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::failure::{cause, shown};

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
    /// As it was typed.
    path: PathBuf,
    /// The file itself, and not a symbolic link to it.
    place: PathBuf,
    kind: Kind,
}

impl ReportFile {
    /// Makes sure that the report can be put there later, beside the table if that has a place of its own. Nothing is left there
    /// until then, however this process ends.
    pub fn prepare(path: &Path, table: Option<&Path>) -> Result<ReportFile> {
        let kind = kind_of(path)?;
        let file = ReportFile { path: path.to_owned(), place: place_of(path), kind };
        file.is_one_there()?;
        if table.is_some_and(|table| place_of(table) == file.place) {
            return Err(file.refused("--file has the same path").into());
        }
        tempfile::tempfile_in(file.directory()).map_err(|error| file.cannot_be_made(&error))?;
        Ok(file)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Puts the report in its place. Nobody sees a part of it. Returns the path as it was typed.
    pub fn finish(self, content: &str) -> Result<PathBuf> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".locule-report-").permissions(Permissions::from_mode(0o666));
        let mut temporary = builder.tempfile_in(self.directory()).map_err(|error| self.cannot_be_made(&error))?;
        temporary.write_all(content.as_bytes()).map_err(|error| self.refused(&cause(&error)))?;
        // What came there during the run is looked at like what was there before.
        let put = match self.is_one_there()? {
            true => temporary.persist(&self.place),
            false => temporary.persist_noclobber(&self.place),
        };
        put.map_err(|error| self.refused(&cause(&error.error)))?;
        Ok(self.path)
    }

    fn directory(&self) -> &Path {
        directory_of(&self.place)
    }

    /// Whether an earlier report is there, which may be replaced; an error if something else is.
    fn is_one_there(&self) -> Result<bool> {
        let metadata = match fs::metadata(&self.place) {
            Ok(metadata) => metadata,
            // A symbolic link to nothing is not followed: the file would be made in a place that nobody named.
            Err(_) if self.place.symlink_metadata().is_ok() => {
                return Err(self.refused("a symbolic link to nothing").into());
            }
            Err(_) => return Ok(false),
        };
        if !metadata.is_file() {
            return Err(self.refused("something that is no file is there already").into());
        }
        let mut beginning = Vec::new();
        let read = File::open(&self.place).and_then(|file| file.take(MARK_BYTES).read_to_end(&mut beginning));
        if read.is_ok() && String::from_utf8_lossy(&beginning).contains(MARK) {
            return Ok(true);
        }
        let why = "a file is there already that is no report of `locule bench`: it stays as it is; take another name";
        Err(self.refused(why).into())
    }

    fn cannot_be_made(&self, error: &io::Error) -> String {
        self.refused(&format!("cannot make a file in {}: {}", shown(directory_of(&self.path)), cause(error)))
    }

    fn refused(&self, why: &str) -> String {
        refused(&self.path, why)
    }
}

fn refused(path: &Path, why: &str) -> String {
    format!("--report {}: {why}", shown(path))
}

/// Where a file is, or would be made, under the one name that each place has.
fn place_of(path: &Path) -> PathBuf {
    let made_in = || Some(fs::canonicalize(directory_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(made_in).unwrap_or_else(|| path.to_owned())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn kind_of(path: &Path) -> Result<Kind> {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => Ok(Kind::Page),
        Some("svg") => Ok(Kind::Picture),
        _ => Err(refused(path, "expected a name that ends in .html, for a page, or .svg, for the plots alone").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        ReportFile::prepare(path, None).err().map(|error| error.to_string()).unwrap_or_default()
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
            let file = ReportFile::prepare(&path, None).unwrap();
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
        let file = ReportFile::prepare(&path, None).unwrap();
        assert_eq!(file.kind(), Kind::Picture);
        fs::write(&path, content()).unwrap();
        let another = ReportFile::prepare(&path, None).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(file.finish(&content()).is_err() && another.finish(&content()).is_err());
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
        drop(ReportFile::prepare(&here.join("unused.html"), None).unwrap());
        let mut left = names(here);
        left.sort();
        assert_eq!(left, ["directory.html", "link.html"]);
    }

    /// The name of a temporary file once stood in the error.
    #[test]
    fn an_error_after_the_run_names_the_report() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.html");
        let file = ReportFile::prepare(&path, None).unwrap();
        directory.close().unwrap();
        let said = file.finish(&content()).unwrap_err().to_string();
        assert!(
            said.starts_with(&format!("--report {}: ", path.display())) && said.ends_with("(os error 2)"),
            "{said}"
        );
    }

    #[test]
    fn a_link_to_a_report_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("out.html"), directory.path().join("newest.html"));
        fs::write(&path, content()).unwrap();
        std::os::unix::fs::symlink("out.html", &link).unwrap();
        ReportFile::prepare(&link, None).unwrap().finish(&(content() + "new")).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), content() + "new");
    }
}

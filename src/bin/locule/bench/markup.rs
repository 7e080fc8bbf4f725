//! Text in HTML and SVG: what people wrote is shown and never obeyed.

use std::fmt::Display;

use crate::output::visible_lines;

/// A text in which nothing is markup, not even behind quotes in an attribute. Characters that would change what is around
/// them are escaped, as for a terminal.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible_lines(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A table: the first cell of each row says what the others are of. It can be without a head.
pub fn table<Cell: Display>(caption: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut text = format!("<div class=\"scroll\"><table>\n<caption>{}</caption>\n", escape(caption));
    if !head.is_empty() {
        let cells = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell)));
        text.push_str(&format!("<thead><tr>{}</tr></thead>\n", cells.collect::<String>()));
    }
    text.push_str("<tbody>\n");
    for row in rows {
        for (position, cell) in row.iter().enumerate() {
            let cell = escape(&cell.to_string());
            text.push_str(&match position {
                0 => format!("<tr><th scope=\"row\">{cell}</th>"),
                _ => format!("<td>{cell}</td>"),
            });
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table></div>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_people_wrote_is_markup() {
        assert_eq!(escape("<script>\"&'</script>"), "&lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;");
        assert_eq!(escape("a\0b\u{202e}c"), r"a\u{0}b\u{202e}c");
        let table = table("<c>", &["<h>"], [vec!["<r>", "<d>"]]);
        assert!(!table.contains("<c>") && !table.contains("<h>") && !table.contains("<r>") && !table.contains("<d>"));
    }
}

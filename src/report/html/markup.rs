//! HTML and SVG elements as values. Whatever comes in as text goes out escaped: there is no way to pass raw markup from
//! outside, so nothing in a playbook or an answer can become a tag.

use crate::report::words;
use std::fmt::Write;

/// Finished markup; only this module makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Markup(String);

impl Markup {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, more: impl Into<Self>) {
        self.0.push_str(&more.into().0);
    }
}

impl<M: Into<Markup>> FromIterator<M> for Markup {
    fn from_iter<I: IntoIterator<Item = M>>(parts: I) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.push(part);
        }
        all
    }
}

impl<M: Into<Self>> Extend<M> for Markup {
    fn extend<I: IntoIterator<Item = M>>(&mut self, parts: I) {
        for part in parts {
            self.push(part);
        }
    }
}

impl From<El> for Markup {
    fn from(el: El) -> Self {
        Self(el.close())
    }
}

impl<M: Into<Self>> From<Option<M>> for Markup {
    fn from(maybe: Option<M>) -> Self {
        maybe.map(Into::into).unwrap_or_default()
    }
}

/// Text between tags.
pub(super) fn text(raw: &str) -> Markup {
    Markup(escape(raw))
}

/// A sentence whose names between backticks are set as code.
pub(super) fn prose(sentence: &str) -> Markup {
    words::pieces(sentence)
        .map(|piece| match piece {
            words::Piece::Words(raw) => text(raw),
            words::Piece::Name(raw) => el("code").text(raw).into(),
        })
        .collect()
}

fn escape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in words::clean(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// One element. Names are constants of ours, never data.
#[derive(Debug, Clone)]
pub(super) struct El {
    name: &'static str,
    attributes: String,
    inner: String,
}

/// An element without attributes or content yet.
pub(super) fn el(name: &'static str) -> El {
    El { name, attributes: String::new(), inner: String::new() }
}

impl El {
    /// An attribute with a text value.
    pub(super) fn attr(mut self, name: &'static str, value: &str) -> Self {
        let _ = write!(self.attributes, " {name}=\"{}\"", escape(value));
        self
    }

    /// An attribute with a number, to a tenth: a tenth of a pixel cannot be seen.
    pub(super) fn num(self, name: &'static str, value: f64) -> Self {
        let value = number(value);
        self.attr(name, &value)
    }

    /// Where a line, a text or a box stands.
    pub(super) fn at(self, x: f64, y: f64) -> Self {
        self.num("x", x).num("y", y)
    }

    pub(super) fn class(self, value: &str) -> Self {
        self.attr("class", value)
    }

    pub(super) fn text(mut self, raw: &str) -> Self {
        self.inner.push_str(&escape(raw));
        self
    }

    /// Lines of text, each on a line of its own: for `pre`, which shows breaks.
    pub(super) fn text_lines(mut self, lines: &[String]) -> Self {
        let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
        self.inner.push_str(&lines.join("\n"));
        self
    }

    pub(super) fn child(mut self, child: impl Into<Markup>) -> Self {
        self.inner.push_str(&child.into().0);
        self
    }

    pub(super) fn children<M: Into<Markup>>(self, children: impl IntoIterator<Item = M>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// Our own style sheet, which must not be escaped; a constant, never data.
    pub(super) fn constant(mut self, css: &'static str) -> Self {
        self.inner.push_str(css);
        self
    }

    fn close(self) -> String {
        const VOID: [&str; 3] = ["meta", "br", "link"];
        const EMPTY: [&str; 4] = ["path", "line", "rect", "circle"];
        let Self { name, attributes, inner } = self;
        match name {
            _ if VOID.contains(&name) => format!("<{name}{attributes}>"),
            _ if EMPTY.contains(&name) && inner.is_empty() => format!("<{name}{attributes}/>"),
            _ => format!("<{name}{attributes}>{inner}</{name}>"),
        }
    }
}

/// A number as short as a tenth allows.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_cannot_break_out() {
        let nasty = "</p><script>\"'&\u{0}";
        let out = Markup::from(el("p").attr("title", nasty).text(nasty)).into_string();
        let safe = "&lt;/p&gt;&lt;script&gt;&quot;&#39;&amp;";
        assert_eq!(out, format!("<p title=\"{safe}\">{safe}</p>"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([number(1.0), number(-0.04), number(12.345)], ["1", "0", "12.3"]);
    }
}

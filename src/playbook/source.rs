//! A file's text and places in it. Reading files is the caller's business: nothing here touches a disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The text of one file.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Path as given.
    pub path: PathBuf,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Byte offset of the first byte that is not UTF-8.
    pub(super) invalid: Option<usize>,
    /// Byte offset of each line.
    lines: Vec<usize>,
}

impl SourceText {
    /// A file's text.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.into(), text, invalid: None, lines }
    }

    /// A file's bytes; what is not UTF-8 in them becomes a diagnostic when it is parsed.
    #[must_use]
    pub fn from_bytes(path: impl Into<PathBuf>, bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(path, text),
            Err(e) => {
                let invalid = Some(e.valid_up_to());
                Self { invalid, ..Self::new(path, String::from_utf8_lossy(bytes)) }
            }
        }
    }

    /// Line and column from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines[line - 1];
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The line that holds this offset, without its line break, and where it starts.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> (usize, &str) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines[line - 1];
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        (start, self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// Where a line starts, from 1; the end of the text for lines beyond it.
    #[must_use]
    pub fn line_start(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// The folder it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

impl std::fmt::Debug for SourceText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceText({})", self.path.display())
    }
}

/// A range of bytes in one of the files that a playbook is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Region {
    /// Which file: 0 is the playbook, then its includes.
    pub file: u16,
    /// First byte.
    pub start: usize,
    /// After the last byte.
    pub end: usize,
}

/// The files that a playbook is made of: itself, then its includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(pub Vec<Arc<SourceText>>);

impl Sources {
    /// The file of a region.
    #[must_use]
    pub fn of(&self, region: Region) -> &Arc<SourceText> {
        self.0.get(usize::from(region.file)).unwrap_or(&self.0[0])
    }

    /// The playbook itself.
    #[must_use]
    pub fn main(&self) -> &Arc<SourceText> {
        &self.0[0]
    }

    /// The text of a region as written.
    #[must_use]
    pub fn raw(&self, region: Region) -> &str {
        self.of(region).text.get(region.start..region.end).unwrap_or_default()
    }
}

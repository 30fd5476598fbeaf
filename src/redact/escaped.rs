//! A secret as it looks after programs have escaped it, in any mixture: URL, form, JSON (also twice), HTML, YAML, SQL, shell.
//! Each character is looked for in all its ways of being written. Pure.

use regex::bytes::{Regex, RegexBuilder};

/// A pattern for a longer secret would cost too much memory; its lines and its raw form are looked for all the same.
const LIMIT: usize = 64 << 20;

/// Finds every way of writing the secret; none if it has only letters and digits, which nobody escapes.
pub(super) fn pattern(secret: &str) -> Option<Regex> {
    if secret.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let pattern: String = secret.chars().map(ways).collect();
    RegexBuilder::new(&pattern).size_limit(LIMIT).build().ok()
}

/// All ways of writing a character.
fn ways(c: char) -> String {
    if c.is_ascii_alphanumeric() {
        return c.to_string();
    }
    let code = u32::from(c);
    let mut utf8 = [0; 4];
    let percent: String =
        c.encode_utf8(&mut utf8).bytes().map(|byte| format!("%(?:25)*{}", digits(byte.into(), 2))).collect();
    let mut utf16 = [0; 2];
    let units = c.encode_utf16(&mut utf16);
    let json: String = units.iter().map(|unit| format!(r"\\{{1,8}}u{}", digits((*unit).into(), 4))).collect();
    let mut all = vec![
        format!(r"\\{{0,8}}{}", regex::escape(&c.to_string())),
        percent,
        json,
        format!(r"\\{{1,8}}U{}", digits(code, 8)),
        format!("&(?:amp;)*#0*{code};"),
        format!("&(?:amp;)*#[xX]0*{};", digits(code, 1)),
    ];
    if code < 0x100 {
        all.push(format!(r"\\{{1,8}}x{}", digits(code, 2)));
    }
    all.extend(by_name(c).iter().map(|way| (*way).to_owned()));
    format!("(?:{})", all.join("|"))
}

/// Ways that only this character has.
fn by_name(c: char) -> &'static [&'static str] {
    match c {
        ' ' => &[r"\+"],
        '&' => &["&(?:amp;)+"],
        '<' => &["&(?:amp;)*lt;"],
        '>' => &["&(?:amp;)*gt;"],
        '"' => &["&(?:amp;)*quot;", "\"\""],
        '\'' => &["&(?:amp;)*apos;", "''", r"'\\{1,8}''", r#"'"'"'"#],
        '\\' => &[r"\\{1,8}"],
        '$' => &[r"\$\$"],
        '\n' => &[r"\\{1,8}n", r"\r\n", r"(?:\\{1,8}r)?\\{1,8}n"],
        '\r' => &[r"\\{1,8}r"],
        '\t' => &[r"\\{1,8}t"],
        _ => &[],
    }
}

/// Hexadecimal in any case, at least so long.
fn digits(code: u32, at_least: usize) -> String {
    format!("(?i:{code:0at_least$x})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_way_of_writing_it_is_found() {
        let secret = "p\"s' w/&d\\ä<😀$\n9";
        let pattern = pattern(secret).unwrap();
        let json = serde_json::Value::from(secret).to_string();
        let twice = serde_json::Value::from(json.as_str()).to_string();
        for text in [
            secret,
            &json,
            &twice,
            "p%22s%27%20w%2F%26d%5C%C3%A4%3C%F0%9F%98%80%24%0A9",
            "p%22s%27+w%2f%26d%5c%c3%a4%3c%f0%9f%98%80%24%0a9",
            "p%2522s'%20w/%26d%5C%C3%A4%3C%F0%9F%98%80$%0A9",
            "p&quot;s&#39; w/&amp;d\\ä&lt;😀$\n9",
            "p&#34;s&apos; w&#x2F;&amp;d\\ä&lt;&#x1F600;$\n9",
            r#"p\"s\u0027 w\/\u0026d\\\u00e4\u003c\ud83d\ude00$\n9"#,
            "p\"s'\\'' w/&d\\ä<😀$\n9",
            "p\\\"s\\'\\ w/\\&d\\\\ä\\<😀\\$\n9",
            "p\"s'' w/&d\\ä<😀$$\r\n9",
        ] {
            assert!(pattern.is_match(text.as_bytes()), "{text}");
        }
        assert!(!pattern.is_match(b"p s w d 9"));
    }

    #[test]
    fn letters_and_digits_need_no_pattern() {
        assert!(pattern("hunter2").is_none());
        assert!(pattern("hunter-2").is_some());
        assert!(pattern(&"ä-".repeat(200)).is_some());
    }
}

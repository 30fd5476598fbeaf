//! Secrets that are written into a playbook: its bytes are kept with every run, so they are refused before there is one.

use crate::playbook::ast::DrillAst;
use crate::playbook::{Diagnostics, Region};
use crate::redact::Forms;

const HELP: &str = "a playbook is kept with every run: say under `secrets:` where it comes from, `NAME: {env: VARIABLE}`, \
     `{file: PATH}` or `{command: [PROGRAM]}`, and write `${secrets.NAME}` in its place";

/// What is secret by its looks, in the playbook and what it includes, also in a comment.
pub(super) fn refused(said: &Diagnostics) {
    let looks = Forms::default();
    for (number, source) in said.sources.0.iter().enumerate() {
        for hit in looks.find(source.text.as_bytes()) {
            let file = u16::try_from(number).unwrap_or(0);
            let region = Region { file, start: hit.at, end: hit.end };
            said.push(said.error(region, format!("{} is written into the playbook", hit.what)).help(HELP));
        }
    }
}

/// Parameters that are called as if they were secrets: their values are part of the record.
pub(super) fn called_so(sections: &DrillAst<'_>, said: &Diagnostics) {
    for (name, _) in sections.params.iter().filter(|(name, _)| secretive(&name.text)) {
        let message =
            format!("the parameter `{}` sounds like a secret, and parameters are kept with every run", name.text);
        let help = "declare it under `secrets:` instead of `params:`, and write `${secrets.NAME}`";
        said.push(said.error(name.region, message).help(help).warning());
    }
}

fn secretive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    let whole =
        ["api_key", "apikey", "secret_key", "private_key", "access_token"].iter().any(|end| name.ends_with(end));
    whole || ["password", "passwd", "passphrase", "secret", "token", "credential", "credentials"].contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["password", "db_password", "TOKEN", "stripe-secret", "x_api_key"] {
            assert!(secretive(name), "{name}");
        }
        for name in ["page", "token_ttl", "passwords_file", "key", "tokens"] {
            assert!(!secretive(name), "{name}");
        }
    }
}

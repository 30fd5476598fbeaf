//! Files of allowed signers as this program reads them, against what the real `ssh-keygen` makes of them.

use super::forge::shop;
use blackstart::evidence::allowed::{AllowedSigners, Standing};
use blackstart::evidence::signature;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

const MESSAGE: &[u8] = b"evidence\n";

/// What `ssh-keygen` says of this list: may this identity sign so, at this time?
fn by_ssh_keygen(list: &str, (who, namespace, time): (&str, &str, &str)) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let (file, allowed) = (dir.path().join("message"), dir.path().join("allowed"));
    fs::write(&file, MESSAGE).unwrap();
    fs::write(&allowed, list).unwrap();
    super::forge::sign(&file, &shop().key("team"), namespace);
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", who, "-n", namespace, "-O", &format!("verify-time={time}"), "-f"])
        .arg(&allowed)
        .arg("-s")
        .arg(dir.path().join("message.sig"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MESSAGE).unwrap();
    child.wait().unwrap().success()
}

/// The same here.
fn here(list: &str, (who, namespace, time): (&str, &str, &str)) -> bool {
    let public = fs::read_to_string(shop().key("team").with_extension("pub")).unwrap();
    let key = ssh_key::PublicKey::from_openssh(&public).unwrap();
    let at = chrono::NaiveDateTime::parse_from_str(time, "%Y%m%d%H%M%SZ").unwrap().and_utc();
    // A list that cannot be read vouches for nobody.
    AllowedSigners::parse(list)
        .is_ok_and(|list| matches!(list.standing_of(who, key.key_data(), namespace, Some(at)), Standing::Allowed(_)))
}

#[test]
fn a_list_means_here_what_it_means_to_ssh_keygen() {
    let public = fs::read_to_string(shop().key("team").with_extension("pub")).unwrap();
    let key = public.trim();
    let stranger = fs::read_to_string(shop().key("stranger").with_extension("pub")).unwrap();
    let asked = ("mira@example.org", "drill-evidence", "20261121120000Z");
    let (mut allowed, mut refused) = (0, 0);
    for list in [
        format!("mira@example.org {key}"),
        format!("# a comment\n\n  mira@example.org\t{key} more words"),
        format!("*@example.org {key}"),
        format!("mira@* {key}"),
        format!("m?ra@example.org,zoe {key}"),
        format!("zoe@example.org {key}"),
        format!("*@example.org,!mira@example.org {key}"),
        format!("!zoe@example.org,*@example.org {key}"),
        format!("mira@example.org namespaces=\"drill-evidence\" {key}"),
        format!("mira@example.org namespaces=\"git,drill-*\" {key}"),
        format!("mira@example.org namespaces=\"git\" {key}"),
        format!("mira@example.org NAMESPACES=\"file\" {key}"),
        format!("mira@example.org valid-after=\"20260101Z\" {key}"),
        format!("mira@example.org valid-after=\"20261121120000Z\" {key}"),
        format!("mira@example.org valid-after=\"20261121120001Z\" {key}"),
        format!("mira@example.org valid-before=\"20261121120000Z\" {key}"),
        format!("mira@example.org valid-before=\"202611211159Z\" {key}"),
        format!("mira@example.org valid-before=\"20261121\" {key}"),
        format!(
            "mira@example.org namespaces=\"drill-evidence\",valid-after=\"20260101\",valid-before=\"20270101\" {key}"
        ),
        format!("\"mira@example.org\" {key}"),
        format!("mira@example.org {stranger}"),
        format!("mira@example.org {stranger}mira@example.org {key}"),
        format!("mira@example.org cert-authority {key}"),
        format!("mira@example.org colour=\"red\" {key}"),
        format!("mira@example.org valid-after=\"soon\" {key}"),
        String::new(),
    ] {
        let (theirs, ours) = (by_ssh_keygen(&list, asked), here(&list, asked));
        assert_eq!(ours, theirs, "ssh-keygen says {theirs}: {list}");
        if theirs { allowed += 1 } else { refused += 1 }
    }
    assert!(allowed >= 10 && refused >= 10, "{allowed} allowed, {refused} refused");
}

#[test]
fn signatures_of_ssh_keygen_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [&["ed25519"][..], &["ecdsa", "-b", "256"], &["ecdsa", "-b", "384"], &["rsa", "-b", "2048"]] {
        let (key, file) = (dir.path().join(kind.join("")), dir.path().join("message"));
        let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t"]).args(kind).arg("-f").arg(&key).status();
        assert!(made.unwrap().success());
        fs::write(&file, MESSAGE).unwrap();
        super::forge::sign(&file, &key, signature::NAMESPACE);
        let made = fs::read(dir.path().join("message.sig")).unwrap();
        assert!(signature::checked(MESSAGE, &made).is_ok(), "{kind:?}");
        assert_eq!(signature::checked(b"other\n", &made), Err(signature::SignatureError::Wrong), "{kind:?}");
    }
}

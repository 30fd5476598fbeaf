//! What a drill in a cluster is: names, limits, expressions, zones, and YAML that says what the objects say.

use super::*;
use chrono::{DateTime, Utc};
use std::time::Duration;

fn setting() -> Setting {
    Setting {
        drill: "pod-loss".into(),
        purpose: Purpose::Run,
        names: Names::of_run("20261121T212706Z-axgef"),
        namespace: "drills".into(),
        image: "registry.example.com/blackstart:1".into(),
        program: vec!["blackstart".into()],
        account: None,
        homes: vec!["shop".into()],
        reaches_out: false,
        secrets: vec![SecretUse::Variables("db".into()), SecretUse::Folder("clusters".into(), "/etc/clusters".into())],
        apart: Apart::Always,
        claim: None,
        home: "/blackstart".into(),
        playbook: "drills/pod-loss.yaml".into(),
        variables: BTreeMap::from([("STAGE".to_owned(), "blue".to_owned())]),
        arguments: vec!["--param".into(), "rate=5/s".into()],
        times: Times {
            drill: Duration::from_secs(600),
            heal: Duration::from_secs(900),
            hold: Duration::from_secs(600),
        },
    }
}

fn files() -> Vec<File> {
    vec![
        File {
            path: "drills/pod-loss.yaml".into(),
            bytes: b"drill: pod-loss\ntitle: x\n".to_vec(),
            kind: FileMode::Read,
        },
        File { path: "drills/up.sh".into(), bytes: b"#!/bin/sh\n".to_vec(), kind: FileMode::Execute },
        File { path: "drills/key".into(), bytes: vec![0xff, 0x00], kind: FileMode::Read },
    ]
}

fn at(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).cloned().unwrap_or_else(|| panic!("no {pointer} in {object:#}"))
}

#[test]
fn a_runner_has_one_attempt_and_time_to_heal() {
    let job = runner_job(&setting(), &files(), Some("20261121T212706Z-axgef"));
    assert_eq!(at(&job, "/spec/backoffLimit"), 0);
    assert_eq!(at(&job, "/spec/template/spec/restartPolicy"), "Never");
    assert_eq!(at(&job, "/spec/template/spec/terminationGracePeriodSeconds"), 900 + 120 + 600);
    assert_eq!(at(&job, "/spec/activeDeadlineSeconds"), 600 + 600 + 1620);
    let guardian = at(&guardian_job(&setting(), &files()), "/spec/template/spec/containers/0/args");
    assert!(guardian.as_array().unwrap().ends_with(&[json!("--home"), json!("shop")]), "{guardian}");
    assert_eq!(at(&job, "/metadata/labels/blackstart.dev~1owner"), "blackstart-20261121t212706z-axgef");
    let words = at(&job, "/spec/template/spec/containers/0/args");
    assert_eq!(words[1], "/blackstart/drill/drills/pod-loss.yaml");
    assert!(words.as_array().unwrap().contains(&json!("drills/blackstart-20261121t212706z-axgef")), "{words}");
}

#[test]
fn runner_and_guardian_keep_away_from_each_other() {
    for (job, other) in
        [(runner_job(&setting(), &files(), None), "guardian"), (guardian_job(&setting(), &files()), "runner")]
    {
        let terms =
            at(&job, "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution");
        assert_eq!(terms[0]["labelSelector"]["matchLabels"]["blackstart.dev/part"], other);
        assert_eq!(terms[0]["topologyKey"], "kubernetes.io/hostname");
    }
    let alone = Setting { apart: Apart::IfPossible, ..setting() };
    let job = guardian_job(&alone, &files());
    assert!(
        job.pointer("/spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution")
            .is_some()
    );
}

#[test]
fn secrets_are_there_by_name_only() {
    let job = runner_job(&setting(), &files(), None);
    assert_eq!(at(&job, "/spec/template/spec/containers/0/envFrom/0/secretRef/name"), "db");
    assert_eq!(at(&job, "/spec/template/spec/volumes/2/secret/secretName"), "clusters");
    assert_eq!(at(&job, "/spec/template/spec/containers/0/volumeMounts/2/mountPath"), "/etc/clusters");
}

#[test]
fn files_come_back_under_their_paths() {
    let (map, volume) = (config_map(&setting(), &files()), files_volume(&setting(), &files()));
    let items = at(&volume, "/configMap/items");
    assert_eq!(items[1]["path"], "drills/up.sh");
    assert_eq!(items[1]["mode"], 0o555);
    assert_eq!(map["data"][items[0]["key"].as_str().unwrap()], "drill: pod-loss\ntitle: x\n");
    assert_eq!(map["binaryData"][items[2]["key"].as_str().unwrap()], "/wA=");
    assert_eq!(map["immutable"], true);
}

#[test]
fn names_fit_and_stay_apart() {
    let long = "a-very-long-drill-name-that-somebody-gave-it-because-they-could-and-more";
    let names = Names::of_schedule(long);
    // A CronJob's name may have 52 letters.
    assert!(names.guardian.len() <= 52 && names.set.len() <= 43, "{names:?}");
    assert_ne!(names, Names::of_schedule(&format!("{long}-2")));
    assert_eq!(Names::of_run("x_Y.z").set, "blackstart-x-y-z");
    assert_eq!(label_value("a/b c"), "a-b-c");
    assert!(label_value(&"x".repeat(100)).len() <= 63);
}

#[test]
fn roles_are_bound_in_their_namespaces() {
    let other = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "x", "namespace": "shop"}, "rules": []});
    let wide = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "x"}, "rules": []});
    let objects = bindings(&setting(), vec![minimal_role(&setting()), other, wide]);
    assert_eq!(objects.len(), 6);
    assert_eq!(objects[3]["metadata"]["namespace"], "shop");
    assert_eq!(objects[3]["subjects"][0]["namespace"], "drills");
    assert_eq!(objects[5]["kind"], "ClusterRoleBinding");
    assert_eq!(objects[5]["roleRef"]["name"], objects[4]["metadata"]["name"]);
}

#[test]
fn a_cron_expression_is_what_a_cron_job_takes() {
    for good in ["0 3 * * 1", "*/15 0-6 1,15 * MON-FRI", "5 4 * JUL wed", "0 0 29 2 *"] {
        assert_eq!(good.parse::<Cron>().map(|cron| cron.text().to_owned()), Ok(good.to_owned()), "{good}");
    }
    for wrong in ["5/5 * * * *", "* * * *", "0 0 3 * * 1", "61 * * * *", "0 3 L * *", "0 3 * * 1#2", "0 3 15W * *", "x"]
    {
        let why = wrong.parse::<Cron>().expect_err(wrong).to_string();
        assert!(why.starts_with('`') && !why.ends_with('.'), "{why}");
    }
}

#[test]
fn the_next_times_are_those_of_the_zone() {
    let berlin = zone("Europe/Berlin").unwrap();
    let after: DateTime<Utc> = "2026-10-23T12:00:00Z".parse().unwrap();
    let cron: Cron = "0 3 * * 1".parse().unwrap();
    let times: Vec<String> = next(&cron, berlin, after, 3).unwrap().iter().map(|at| at.to_rfc3339()).collect();
    // Summer time ended on the 25th.
    assert_eq!(times, ["2026-10-26T03:00:00+01:00", "2026-11-02T03:00:00+01:00", "2026-11-09T03:00:00+01:00"]);
    let never: Cron = "0 0 31 2 *".parse().unwrap();
    assert!(next(&never, berlin, after, 1).is_err());
}

#[test]
fn a_zone_that_is_none_is_told_a_near_one() {
    for (wrong, near) in
        [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("new york", "America/New_York")]
    {
        assert_eq!(zone(wrong), Err(ZoneError::Unknown(wrong.into(), Some(near.into()))));
    }
    assert!(zone("Middle-earth/Shire-on-the-Brandywine").is_err_and(|e| e.mend().contains("IANA")));
}

#[test]
fn a_cron_job_forbids_a_second_one() {
    let cron: Cron = "0 3 * * 1".parse().unwrap();
    for job in cron_jobs(&setting(), &files(), (&cron, zone("Europe/Berlin").ok())) {
        assert_eq!(at(&job, "/spec/timeZone"), "Europe/Berlin");
        assert_eq!(at(&job, "/spec/concurrencyPolicy"), "Forbid");
        assert!(job.pointer("/spec/startingDeadlineSeconds").is_some());
    }
}

#[test]
fn yaml_says_what_the_objects_say() {
    let cron: Cron = "0 3 * * 1".parse().unwrap();
    let strange = json!({"a": "yes", "b": "1.0", "c": "x: y", "d": "", "e": [], "f": {}, "g": [[1, 2], [{"h": null}]],
        "i": "two\nlines\n", "j": "no end\nhere", "k": " begins\nwith space\n", "l": "tab\there\nand more\n", "~": true, "0x1": -3,
        "m": "ends\n\n", "n": "blank\n\nwithin\n", "o": "spaces \nat the end\n", "p": "#no comment", "q": "2026-01-01", "r": "\u{85}x\ny\n"});
    let mut objects = vec![strange, config_map(&setting(), &files()), runner_job(&setting(), &files(), None)];
    objects.extend(cron_jobs(&setting(), &files(), (&cron, None)));
    let text = documents(&objects);
    let parts: Vec<&str> = text.split("---\n").filter(|part| !part.is_empty()).collect();
    assert_eq!(parts.len(), objects.len());
    for (part, object) in parts.iter().zip(&objects) {
        let read: Value = serde_yaml::from_str(part).unwrap_or_else(|e| panic!("{e}\n{part}"));
        assert_eq!(&read, object, "{part}");
    }
}

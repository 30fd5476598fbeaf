//! What the server fills in, and what it does not take.

use super::State;
use super::json::{at, default, has, int, items, name, set, take, text};
use super::kinds::Kind;
use super::select::chooses;
use super::status::Refusal;
use super::write::stamp;
use base64::Engine;
use serde_json::{Value, json};

/// A new object: what it gets at birth, and what is always there.
pub fn born(state: &mut State, kind: usize, object: &mut Value) {
    let described = state.store.kinds[kind].clone();
    stamp(state, &described, object);
    let api =
        format!("{}{}{}", described.group, if described.group.is_empty() { "" } else { "/" }, described.versions[0]);
    set(object, &["apiVersion"], api);
    set(object, &["kind"], described.kind.clone());
    match (described.group.as_str(), described.plural.as_str()) {
        ("", "namespaces") => {
            default(object, &["spec", "finalizers"], json!(["kubernetes"]));
            default(object, &["status", "phase"], "Active");
            if state.settings.version >= (1, 21) {
                let own = name(object).to_owned();
                set(object, &["metadata", "labels", "kubernetes.io/metadata.name"], own);
            }
        }
        ("", "pods") => {
            default(object, &["status", "phase"], "Pending");
            default(object, &["status", "qosClass"], "BestEffort");
            tolerations(object);
        }
        ("", "nodes") => default(object, &["spec"], json!({})),
        ("", "persistentvolumeclaims") => {
            default(object, &["status", "phase"], "Pending");
            default(object, &["metadata", "finalizers"], json!(["kubernetes.io/pvc-protection"]));
        }
        ("", "services")
            if text(object, "/spec/clusterIP").is_empty() && text(object, "/spec/type") != "ExternalName" =>
        {
            let n = state.store.count();
            set(object, &["spec", "clusterIP"], format!("10.96.{}.{}", (n / 250) % 250, n % 250 + 1));
        }
        _ => {}
    }
    whole(state, kind, object);
}

/// Pods stay 5 minutes on a node that is lost.
fn tolerations(pod: &mut Value) {
    let mut all = items(pod, "/spec/tolerations").to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covers = |t: &Value| {
            let effect = ["", "NoExecute"].contains(&text(t, "/effect"));
            effect && (text(t, "/key") == key || text(t, "/key").is_empty())
        };
        if !all.iter().any(covers) {
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    set(pod, &["spec", "tolerations"], all);
}

/// What every version of an object has.
pub fn whole(state: &State, kind: usize, object: &mut Value) {
    let kind = &state.store.kinds[kind];
    match kind.plural.as_str() {
        "pods" => pod_spec(object, &["spec"]),
        "deployments" | "replicasets" | "statefulsets" => workload(&kind.plural, object),
        "daemonsets" => {
            pod_spec(object, &["spec", "template", "spec"]);
            default(object, &["spec", "revisionHistoryLimit"], 10);
            let how = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}});
            default(object, &["spec", "updateStrategy"], how);
        }
        "jobs" => job(object),
        "services" => service(object),
        "secrets" => secret(object),
        "persistentvolumeclaims" => default(object, &["spec", "volumeMode"], "Filesystem"),
        "networkpolicies" if !has(object, "/spec/policyTypes") => {
            let mut types = vec!["Ingress"];
            types.extend(has(object, "/spec/egress").then_some("Egress"));
            set(object, &["spec", "policyTypes"], types);
        }
        _ => {}
    }
}

fn workload(plural: &str, object: &mut Value) {
    default(object, &["spec", "replicas"], 1);
    pod_spec(object, &["spec", "template", "spec"]);
    match plural {
        "deployments" => {
            default(object, &["spec", "strategy", "type"], "RollingUpdate");
            if text(object, "/spec/strategy/type") == "RollingUpdate" {
                default(object, &["spec", "strategy", "rollingUpdate", "maxUnavailable"], "25%");
                default(object, &["spec", "strategy", "rollingUpdate", "maxSurge"], "25%");
            }
            default(object, &["spec", "revisionHistoryLimit"], 10);
            default(object, &["spec", "progressDeadlineSeconds"], 600);
        }
        "statefulsets" => {
            default(object, &["spec", "podManagementPolicy"], "OrderedReady");
            default(object, &["spec", "revisionHistoryLimit"], 10);
            default(object, &["spec", "updateStrategy", "type"], "RollingUpdate");
            if text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
                default(object, &["spec", "updateStrategy", "rollingUpdate", "partition"], 0);
            }
        }
        _ => {}
    }
}

fn job(object: &mut Value) {
    pod_spec(object, &["spec", "template", "spec"]);
    let (parallel, whole) = (has(object, "/spec/parallelism"), has(object, "/spec/completions"));
    default(object, &["spec", "parallelism"], 1);
    if !parallel && !whole {
        default(object, &["spec", "completions"], 1);
    }
    default(object, &["spec", "backoffLimit"], 6);
    if !has(object, "/spec/selector") && at(object, "/spec/manualSelector") != &Value::Bool(true) {
        let (uid, own) = (text(object, "/metadata/uid").to_owned(), name(object).to_owned());
        set(object, &["spec", "selector", "matchLabels", "controller-uid"], uid.clone());
        set(object, &["spec", "template", "metadata", "labels", "controller-uid"], uid);
        set(object, &["spec", "template", "metadata", "labels", "job-name"], own);
    }
}

fn pod_spec(object: &mut Value, path: &[&str]) {
    let pointer: String = path.iter().map(|p| format!("/{p}")).collect();
    let Some(spec) = object.pointer_mut(&pointer).filter(|s| s.is_object()) else { return };
    default(spec, &["restartPolicy"], "Always");
    default(spec, &["terminationGracePeriodSeconds"], 30);
    default(spec, &["dnsPolicy"], "ClusterFirst");
    default(spec, &["securityContext"], json!({}));
    default(spec, &["schedulerName"], "default-scheduler");
    for group in ["containers", "initContainers"] {
        for container in spec.get_mut(group).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = text(container, "/image").to_owned();
            let latest = image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or("").contains(':');
            default(container, &["imagePullPolicy"], if latest { "Always" } else { "IfNotPresent" });
            default(container, &["resources"], json!({}));
            default(container, &["terminationMessagePath"], "/dev/termination-log");
            default(container, &["terminationMessagePolicy"], "File");
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                default(port, &["protocol"], "TCP");
            }
        }
    }
}

fn service(object: &mut Value) {
    default(object, &["spec", "type"], "ClusterIP");
    default(object, &["spec", "sessionAffinity"], "None");
    let Some(ports) = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut) else { return };
    for port in ports {
        default(port, &["protocol"], "TCP");
        let own = at(port, "/port").clone();
        default(port, &["targetPort"], own);
    }
}

fn secret(object: &mut Value) {
    default(object, &["type"], "Opaque");
    if let Some(Value::Object(plain)) = take(object, &["stringData"]) {
        for (key, value) in plain {
            let bytes = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
            set(object, &["data", &key], bytes);
        }
    }
}

/// What the server does not take: the fields that drills touch.
pub fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Result<(), Refusal> {
    let own = name(object).to_owned();
    let refuse = |field: &str, why: &str| Err(Refusal::invalid(&kind.kind, &kind.group, &own, field, why));
    let fixed = |field: &str| old.is_some_and(|old| at(old, field) != at(object, field));
    labels(kind, object)?;
    match kind.plural.as_str() {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" if kind.group == "apps" => {
            if has(object, "/spec/replicas") && !at(object, "/spec/replicas").is_i64() {
                return Err(Refusal::bad(format!("{} cannot be handled: spec.replicas is no number", kind.kind)));
            }
            if int(object, "/spec/replicas") < 0 {
                return refuse("spec.replicas", "Invalid value: must be greater than or equal to 0");
            }
            if !has(object, "/spec/selector") {
                return refuse("spec.selector", "Required value");
            }
            if !chooses(at(object, "/spec/selector"), at(object, "/spec/template/metadata/labels")) {
                return refuse("spec.template.metadata.labels", "`selector` does not match template `labels`");
            }
            if fixed("/spec/selector") {
                return refuse("spec.selector", "Invalid value: field is immutable");
            }
            containers(kind, object, "/spec/template/spec")
        }
        "jobs" => {
            if fixed("/spec/template") || fixed("/spec/selector") || fixed("/spec/completions") {
                return refuse("spec.template", "Invalid value: field is immutable");
            }
            if !["Never", "OnFailure"].contains(&text(object, "/spec/template/spec/restartPolicy")) {
                return refuse("spec.template.spec.restartPolicy", "Required value: OnFailure or Never");
            }
            containers(kind, object, "/spec/template/spec")
        }
        "pods" => {
            if old.is_some_and(|old| pod_changed(old, object)) {
                return refuse(
                    "spec",
                    "Forbidden: pod updates may not change fields other than images and tolerations",
                );
            }
            containers(kind, object, "/spec")
        }
        "configmaps" | "secrets" if old.is_some_and(|o| at(o, "/immutable") == &Value::Bool(true)) => {
            let changed = ["/data", "/binaryData", "/immutable"].into_iter().any(fixed);
            if changed { refuse("data", "Forbidden: field is immutable when `immutable` is set") } else { Ok(()) }
        }
        "secrets" if fixed("/type") => refuse("type", "Invalid value: field is immutable"),
        "secrets" => {
            let decoder = base64::engine::general_purpose::STANDARD;
            let good = |v: &Value| v.as_str().is_some_and(|v| decoder.decode(v).is_ok());
            let good = at(object, "/data").as_object().is_none_or(|m| m.values().all(good));
            if good { Ok(()) } else { Err(Refusal::bad("Secret cannot be handled: data is not base64")) }
        }
        "configmaps" => {
            let text = at(object, "/data").as_object().is_none_or(|m| m.values().all(Value::is_string));
            if text {
                Ok(())
            } else {
                Err(Refusal::bad("ConfigMap in version \"v1\" cannot be handled: data is not text"))
            }
        }
        "services" if fixed("/spec/clusterIP") && has(object, "/spec/clusterIP") => {
            refuse("spec.clusterIP", "Invalid value: field is immutable")
        }
        _ => Ok(()),
    }
}

fn containers(kind: &Kind, object: &Value, spec: &str) -> Result<(), Refusal> {
    let field = spec.trim_start_matches('/').replace('/', ".");
    let all = items(object, &format!("{spec}/containers"));
    if all.is_empty() {
        let why = "Required value";
        return Err(Refusal::invalid(&kind.kind, &kind.group, name(object), &format!("{field}.containers"), why));
    }
    for (i, container) in all.iter().enumerate() {
        for part in ["name", "image"] {
            if text(container, &format!("/{part}")).trim().is_empty() {
                let at = format!("{field}.containers[{i}].{part}");
                return Err(Refusal::invalid(&kind.kind, &kind.group, name(object), &at, "Required value"));
            }
        }
    }
    Ok(())
}

/// Did more of a pod's spec change than may?
fn pod_changed(old: &Value, new: &Value) -> bool {
    let plain = |pod: &Value| {
        let mut spec = at(pod, "/spec").clone();
        for field in ["tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "nodeName"] {
            take(&mut spec, &[field]);
        }
        for group in ["containers", "initContainers"] {
            for container in spec.get_mut(group).and_then(Value::as_array_mut).into_iter().flatten() {
                take(container, &["image"]);
            }
        }
        spec
    };
    plain(old) != plain(new)
}

fn labels(kind: &Kind, object: &Value) -> Result<(), Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let good = |v: &str| v.len() <= 63 && v.chars().all(fits) && edge(v.chars().next()) && edge(v.chars().last());
    for (key, value) in at(object, "/metadata/labels").as_object().into_iter().flatten() {
        let (prefix, short) = key.rsplit_once('/').unwrap_or(("a", key));
        let why = match value.as_str() {
            None => return Err(Refusal::bad(format!("{} cannot be handled: label {key} is no text", kind.kind))),
            Some(value) if !good(value) => format!("Invalid value: \"{value}\""),
            Some(_) if short.is_empty() || prefix.is_empty() || !good(short) => format!("Invalid value: \"{key}\""),
            Some(_) => continue,
        };
        return Err(Refusal::invalid(&kind.kind, &kind.group, name(object), "metadata.labels", &why));
    }
    for (key, value) in at(object, "/metadata/annotations").as_object().into_iter().flatten() {
        if !value.is_string() {
            return Err(Refusal::bad(format!("{} cannot be handled: annotation {key} is no text", kind.kind)));
        }
    }
    Ok(())
}

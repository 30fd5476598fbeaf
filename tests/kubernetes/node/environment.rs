//! What a container finds in its environment: values, fields of its pod, ConfigMaps and Secrets, and the way to the
//! API.

use super::Shared;
use super::pod::Pod;
use base64::Engine;
use serde_json::Value;
use std::collections::BTreeMap;

pub type Variables = BTreeMap<String, String>;

/// All of it; or what is missing.
pub async fn of(shared: &Shared, pod: &Pod, container: &Value) -> Result<Variables, String> {
    let object = pod.object();
    let mut all = Variables::new();
    let own = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOME", "/root".to_owned()),
        ("HOSTNAME", pod.name.clone()),
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()),
        ("KUBERNETES_SERVICE_PORT", shared.port.to_string()),
        ("KUBERNETES_SERVICE_PORT_HTTPS", shared.port.to_string()),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    for from in items(container, "envFrom") {
        let prefix = from["prefix"].as_str().unwrap_or_default();
        let (kind, reference) = if from["configMapRef"].is_object() {
            ("configmaps", &from["configMapRef"])
        } else {
            ("secrets", &from["secretRef"])
        };
        let found = data(shared, pod, kind, reference).await?.unwrap_or_default();
        let text =
            |(key, value): (String, Vec<u8>)| (format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned());
        all.extend(found.into_iter().map(text));
    }
    for variable in items(container, "env") {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let value = match variable.get("valueFrom") {
            Some(from) => from_elsewhere(shared, pod, &object, from).await?,
            None => Some(expand(variable["value"].as_str().unwrap_or_default(), &all)),
        };
        all.extend(value.map(|value| (name, value)));
    }
    Ok(all)
}

pub fn items<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

async fn from_elsewhere(shared: &Shared, pod: &Pod, object: &Value, from: &Value) -> Result<Option<String>, String> {
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        return field(pod, object, path).map(Some);
    }
    if from["resourceFieldRef"].is_object() {
        return Ok(Some("0".to_owned()));
    }
    let (kind, reference) = if from["configMapKeyRef"].is_object() {
        ("configmaps", &from["configMapKeyRef"])
    } else {
        ("secrets", &from["secretKeyRef"])
    };
    let key = reference["key"].as_str().unwrap_or_default();
    let found = data(shared, pod, kind, reference).await?.and_then(|mut all| all.remove(key));
    match found {
        Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        None if reference["optional"] == true => Ok(None),
        None => Err(format!("couldn't find key {key} in {kind} {}/{}", pod.namespace, reference["name"])),
    }
}

/// A field of the pod, as the downward API names it.
pub fn field(pod: &Pod, object: &Value, path: &str) -> Result<String, String> {
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = map.trim_start_matches("metadata.");
        return Ok(object["metadata"][map][key].as_str().unwrap_or_default().to_owned());
    }
    match path {
        "status.podIP" | "status.podIPs" => return Ok(pod.address.to_string()),
        "status.hostIP" => return Ok("127.0.0.1".to_owned()),
        "metadata.labels" | "metadata.annotations" => {
            let all = object["metadata"][path.trim_start_matches("metadata.")].as_object().cloned().unwrap_or_default();
            return Ok(all.iter().map(|(key, value)| format!("{key}={value}\n")).collect());
        }
        _ => {}
    }
    let found = object.pointer(&format!("/{}", path.replace('.', "/"))).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("unsupported fieldPath: {path}"))
}

/// What a ConfigMap or Secret holds; none if it is missing and may be.
pub async fn data(
    shared: &Shared,
    pod: &Pod,
    kind: &str,
    reference: &Value,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, String> {
    let name = reference["name"].as_str().or_else(|| reference["secretName"].as_str()).unwrap_or_default();
    let said = shared.api.get(&format!("/api/v1/namespaces/{}/{kind}/{name}", pod.namespace)).await;
    if said.status == 404 && reference["optional"] == true {
        return Ok(None);
    }
    let Some(object) = said.clone().good() else {
        return Err(if said.status == 404 { format!("{kind} {name:?} not found") } else { said.body.to_string() });
    };
    let mut all = BTreeMap::new();
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let bytes = if kind == "secrets" { decode(text) } else { text.as_bytes().to_vec() };
        all.insert(key.clone(), bytes);
    }
    for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
        all.insert(key.clone(), decode(value.as_str().unwrap_or_default()));
    }
    Ok(Some(all))
}

fn decode(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// `$(NAME)` becomes the value of a variable that is known; `$$` is one `$`.
pub fn expand(text: &str, known: &Variables) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            (out, rest) = (out + "$", after);
            continue;
        }
        let named = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        match named.and_then(|(name, after)| Some((known.get(name)?, after))) {
            Some((value, after)) => (out, rest) = (out + value, after),
            None => out.push('$'),
        }
    }
    out + rest
}

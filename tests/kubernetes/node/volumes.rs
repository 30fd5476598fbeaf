//! The volumes of a pod as folders of this machine, and the tree that a container sees as its root: everything of this
//! machine by links, and real folders where something is mounted or written. The mounting itself is done by
//! `container.sh`.

use super::Shared;
use super::environment::{data, field, items};
use super::pod::Pod;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// Where this machine's own root is within a container.
const HOST: &str = "/.host";
/// Not this machine's, but the container's own.
const OWN: [&str; 4] = ["proc", "run", "tmp", ".host"];

/// What is mounted where.
pub struct Mount {
    pub source: PathBuf,
    pub target: PathBuf,
    pub read_only: &'static str,
}

type Files = BTreeMap<String, Vec<u8>>;

/// Makes all volumes of a pod, or says what is missing. Done again, it brings those up to date whose objects have
/// changed.
pub async fn make(shared: &Shared, pod: &Pod) -> std::result::Result<(), String> {
    let object = pod.object();
    for volume in items(&object["spec"], "volumes") {
        let folder = pod.folder.join("volumes").join(volume["name"].as_str().unwrap_or_default());
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        if volume["emptyDir"].is_object() {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).map_err(|e| e.to_string())?;
        }
        if let Some(files) = files(shared, pod, &object, volume).await? {
            write(&folder, &files).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
    }
    Ok(())
}

/// The files of a volume that is made from objects.
async fn files(
    shared: &Shared,
    pod: &Pod,
    object: &Value,
    volume: &Value,
) -> std::result::Result<Option<Files>, String> {
    let sources = if volume["projected"].is_object() {
        items(&volume["projected"], "sources")
    } else {
        std::slice::from_ref(volume)
    };
    let mut all = None;
    for source in sources {
        let files = if source["configMap"].is_object() {
            chosen(data(shared, pod, "configmaps", &source["configMap"]).await?, &source["configMap"])
        } else if source["secret"].is_object() {
            chosen(data(shared, pod, "secrets", &source["secret"]).await?, &source["secret"])
        } else if source["downwardAPI"].is_object() {
            fields(pod, object, &source["downwardAPI"])?
        } else if source["serviceAccountToken"].is_object() {
            token(shared, pod, object, &source["serviceAccountToken"]).await?
        } else {
            continue;
        };
        all.get_or_insert_with(Files::new).extend(files);
    }
    Ok(all)
}

/// All of it, or the keys that are named, at the paths that they name.
fn chosen(found: Option<Files>, reference: &Value) -> Files {
    let found = found.unwrap_or_default();
    if reference["items"].is_null() {
        return found;
    }
    let one = |item: &Value| {
        let value = found.get(item["key"].as_str().unwrap_or_default())?;
        Some((item["path"].as_str().unwrap_or_default().to_owned(), value.clone()))
    };
    items(reference, "items").iter().filter_map(one).collect()
}

fn fields(pod: &Pod, object: &Value, from: &Value) -> std::result::Result<Files, String> {
    let mut files = Files::new();
    for item in items(from, "items") {
        let value = field(pod, object, item["fieldRef"]["fieldPath"].as_str().unwrap_or_default())?;
        files.insert(item["path"].as_str().unwrap_or_default().to_owned(), value.into_bytes());
    }
    Ok(files)
}

async fn token(shared: &Shared, pod: &Pod, object: &Value, asked: &Value) -> std::result::Result<Files, String> {
    let account = object["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", pod.namespace);
    let spec = json!({"audiences": [], "expirationSeconds": 3600});
    let said = shared
        .api
        .post(&path, &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}))
        .await;
    let token = said.body["status"]["token"].as_str().ok_or_else(|| said.body.to_string())?;
    Ok([(asked["path"].as_str().unwrap_or("token").to_owned(), token.as_bytes().to_vec())].into())
}

/// Exactly these files, each whole at every moment.
fn write(folder: &Path, files: &Files) -> Result<()> {
    for (name, bytes) in files {
        let at = folder.join(name);
        if at.strip_prefix(folder).is_ok_and(|path| path.components().any(|part| part == Component::ParentDir)) {
            return Err(Error::new(ErrorKind::InvalidInput, name.clone()));
        }
        if fs::read(&at).is_ok_and(|is| is == *bytes) {
            continue;
        }
        fs::create_dir_all(at.parent().unwrap_or(folder))?;
        let new = folder.join(format!("..{}", name.replace('/', "-")));
        fs::write(&new, bytes)?;
        fs::rename(&new, &at)?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let there = files.keys().any(|name| name.split('/').next() == entry.file_name().to_str());
        if !there {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What a container of the pod mounts.
pub async fn mounts(shared: &Shared, pod: &Pod, container: &Value) -> std::result::Result<Vec<Mount>, String> {
    let object = pod.object();
    let mut all = Vec::new();
    for mount in items(container, "volumeMounts") {
        let name = mount["name"].as_str().unwrap_or_default();
        let volume =
            items(&object["spec"], "volumes").iter().find(|volume| volume["name"] == name).unwrap_or(&Value::Null);
        let mut source = place(shared, pod, volume).await?;
        if let Some(part) = mount["subPath"].as_str() {
            source = source.join(part);
            if !source.exists() {
                fs::create_dir_all(&source).map_err(|e| e.to_string())?;
            }
        }
        // /var/run is a link to /run everywhere.
        let target = mount["mountPath"].as_str().unwrap_or_default().replacen("/var/run", "/run", 1);
        let fixed = mount["readOnly"] == true || volume["configMap"].is_object() || volume["secret"].is_object();
        all.push(Mount { source, target: PathBuf::from(target), read_only: if fixed { "ro" } else { "rw" } });
    }
    all.sort_by_key(|mount| mount.target.components().count());
    Ok(all)
}

async fn place(shared: &Shared, pod: &Pod, volume: &Value) -> std::result::Result<PathBuf, String> {
    if let Some(path) = volume["hostPath"]["path"].as_str() {
        return Ok(PathBuf::from(path));
    }
    let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() else {
        return Ok(pod.folder.join("volumes").join(volume["name"].as_str().unwrap_or_default()));
    };
    let claim = format!("/api/v1/namespaces/{}/persistentvolumeclaims/{claim}", pod.namespace);
    let bound = shared.api.get(&claim).await.body;
    let name = bound["spec"]["volumeName"].as_str().ok_or_else(|| format!("{claim} is not bound"))?;
    let volume = shared.api.get(&format!("/api/v1/persistentvolumes/{name}")).await.body;
    let path = volume["spec"]["hostPath"]["path"].as_str().ok_or_else(|| format!("{name} has no hostPath"))?;
    fs::create_dir_all(path).map_err(|e| format!("{path}: {e}"))?;
    Ok(PathBuf::from(path))
}

/// Makes a new tree with a place for every mount.
pub fn tree(root: &Path, mounts: &[Mount]) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root)?;
    for name in OWN {
        fs::create_dir(root.join(name))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    links(Path::new("/"), root)?;
    mounts.iter().try_for_each(|mount| open(root, &mount.target, mount.source.is_dir()))
}

/// Links to everything of this machine's folder that is not there yet.
fn links(host: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(host)? {
        let entry = entry?;
        let at = folder.join(entry.file_name());
        if at.symlink_metadata().is_ok() {
            continue;
        }
        // A link like /bin stays what it is.
        let target = match fs::read_link(entry.path()) {
            Ok(target) if host == Path::new("/") => target,
            _ => Path::new(HOST).join(entry.path().strip_prefix("/").unwrap_or(Path::new(""))),
        };
        symlink(target, at)?;
    }
    Ok(())
}

/// Makes a real folder, or an empty file, at this path of the tree; folders on the way become real ones, full of links.
fn open(root: &Path, target: &Path, folder: bool) -> Result<()> {
    let parts: Vec<_> = target.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let (mut at, mut host) = (root.to_path_buf(), PathBuf::from("/"));
    for (number, part) in parts.iter().enumerate() {
        (at, host) = (at.join(part), host.join(part));
        let last = number + 1 == parts.len();
        if at.is_symlink() {
            fs::remove_file(&at)?;
        }
        if at.exists() {
            continue;
        }
        match (last, folder) {
            (true, false) => fs::write(&at, "")?,
            (true, true) => fs::create_dir(&at)?,
            (false, _) => {
                fs::create_dir(&at)?;
                if host.is_dir() && !OWN.iter().any(|own| host.starts_with(Path::new("/").join(own))) {
                    links(&host, &at)?;
                }
            }
        }
    }
    Ok(())
}

//! Images in the template of a workload: read, exchanged, put back one by one where they are still ours.

use super::workload;
use crate::adapters::kubernetes::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const LISTS: [&str; 2] = ["initContainers", "containers"];

/// An image that is exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `containers` or `initContainers`
    pub list: String,
    /// The container.
    pub container: String,
    /// The image before.
    pub before: String,
    /// The image that it gets.
    pub ours: String,
}

/// Which of its two images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one before.
    Before,
    /// The one that the fault gives it.
    Ours,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Those images of a template that `how` exchanges: it is asked with the list, the container and its image.
#[must_use]
pub fn exchanged(object: &Object, how: impl Fn(&str, &str, &str) -> Option<String>) -> Vec<Image> {
    let mut found = Vec::new();
    for list in LISTS {
        for one in object.items(&format!("/spec/template/spec/{list}")) {
            let (container, before) = (text(one, "name").to_owned(), text(one, "image").to_owned());
            if let Some(ours) = how(list, &container, &before) {
                found.push(Image { list: list.to_owned(), container, before, ours });
            }
        }
    }
    found
}

/// The merge patch that gives containers the one image where they have the other; none if none has. Lists are replaced
/// as a whole by a merge patch: it holds only for the version of the object that was read.
#[must_use]
pub fn patch(object: &Object, images: &[Image], to: Which) -> Option<Value> {
    let mut lists = serde_json::Map::new();
    for list in LISTS {
        let mut all = object.items(&format!("/spec/template/spec/{list}")).to_vec();
        let mut changed = false;
        for image in images.iter().filter(|image| image.list == list) {
            let (from, to) = match to {
                Which::Ours => (&image.before, &image.ours),
                Which::Before => (&image.ours, &image.before),
            };
            for one in all.iter_mut().filter(|one| text(one, "name") == image.container && text(one, "image") == from) {
                if let Some(fields) = one.as_object_mut() {
                    fields.insert("image".to_owned(), json!(to));
                    changed = true;
                }
            }
        }
        if changed {
            lists.insert(list.to_owned(), Value::Array(all));
        }
    }
    (!lists.is_empty()).then(|| json!({"spec": {"template": {"spec": lists}}}))
}

/// So many of these containers have that image in the template.
#[must_use]
pub fn count(object: &Object, images: &[Image], which: Which) -> usize {
    let has = |image: &&Image| {
        let wanted = if which == Which::Ours { &image.ours } else { &image.before };
        let all = object.items(&format!("/spec/template/spec/{}", image.list));
        all.iter().any(|one| text(one, "name") == image.container && text(one, "image") == wanted)
    };
    images.iter().filter(has).count()
}

/// Is one of these images of ours in this pod?
#[must_use]
pub fn in_pod(pod: &Object, images: &[Image]) -> bool {
    images.iter().any(|image| {
        let all = pod.items(&format!("/spec/{}", image.list));
        all.iter().any(|one| text(one, "name") == image.container && text(one, "image") == image.ours)
    })
}

/// The pods of ours that are there to stay.
#[must_use]
pub fn live_with(pods: &[Object], images: &[Image]) -> usize {
    pods.iter().filter(|pod| workload::lives(pod) && in_pod(pod, images)).count()
}

/// Is one of these images of ours in this revision (a ReplicaSet, or a ControllerRevision's data)?
#[must_use]
pub fn in_revision(revision: &Object, images: &[Image]) -> bool {
    let lists = ["/spec/template/spec", "/data/spec/template/spec"].map(|at| revision.0.pointer(at));
    lists.into_iter().flatten().any(|spec| {
        images.iter().any(|image| {
            let all = spec.get(&image.list).and_then(Value::as_array);
            let ours = |one: &Value| text(one, "name") == image.container && text(one, "image") == image.ours;
            all.is_some_and(|all| all.iter().any(ours))
        })
    })
}

/// The registry of an image, and the rest: an image that names none is of `docker.io`.
#[must_use]
pub fn registry(image: &str) -> (&str, &str) {
    match image.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("docker.io", image),
    }
}

/// The same image at a registry that never is (RFC 2606, `.invalid`).
#[must_use]
pub fn unavailable(image: &str) -> String {
    let (registry, rest) = registry(image);
    match registry.split_once(':') {
        Some((host, port)) => format!("{host}.blackstart.invalid:{port}/{rest}"),
        None => format!("{registry}.blackstart.invalid/{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_at_a_registry() {
        for (image, ours) in [
            ("nginx", "docker.io.blackstart.invalid/nginx"),
            ("library/nginx:1", "docker.io.blackstart.invalid/library/nginx:1"),
            ("quay.io/a/b@sha256:1", "quay.io.blackstart.invalid/a/b@sha256:1"),
            ("localhost/a", "localhost.blackstart.invalid/a"),
            ("reg:5000/a:2", "reg.blackstart.invalid:5000/a:2"),
        ] {
            assert_eq!(unavailable(image), ours);
        }
    }

    #[test]
    fn only_what_is_still_ours_is_put_back() {
        let object = |a: &str, b: &str| {
            let containers = json!([{"name": "a", "image": a, "env": [1]}, {"name": "b", "image": b}]);
            Object(json!({"spec": {"template": {"spec": {"containers": containers}}}}))
        };
        let images = exchanged(&object("x", "y"), |_, _, image| Some(format!("bad/{image}")));
        let there = patch(&object("x", "y"), &images, Which::Ours).expect("a change");
        assert_eq!(
            there["spec"]["template"]["spec"]["containers"][0],
            json!({"name": "a", "image": "bad/x", "env": [1]})
        );
        assert_eq!(count(&object("bad/x", "fixed"), &images, Which::Ours), 1);
        let back = patch(&object("bad/x", "fixed"), &images, Which::Before).expect("a change");
        assert_eq!(back["spec"]["template"]["spec"]["containers"][1]["image"], "fixed");
        assert_eq!(back["spec"]["template"]["spec"]["containers"][0]["image"], "x");
        assert_eq!(patch(&object("x", "fixed"), &images, Which::Before), None);
    }
}

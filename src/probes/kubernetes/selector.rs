//! Label selectors as objects hold them (`matchLabels`, `matchExpressions`): as a query, and against labels. Pure.

use serde_json::Value;
use std::collections::BTreeMap;

/// One requirement.
struct Need<'a> {
    key: &'a str,
    operator: &'a str,
    values: Vec<&'a str>,
}

fn needs(selector: &Value) -> Vec<Need<'_>> {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some(Need { key, operator: "In", values: vec![value.as_str()?] }));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let expressions = expressions.filter_map(|one| {
        let values = one.get("values").and_then(Value::as_array).into_iter().flatten();
        Some(Need {
            key: one.get("key")?.as_str()?,
            operator: one.get("operator")?.as_str()?,
            values: values.filter_map(Value::as_str).collect(),
        })
    });
    labels.chain(expressions).collect()
}

/// As a query has it: `app in (web),tier notin (test)`.
pub(crate) fn query(selector: &Value) -> String {
    let one = |need: &Need<'_>| match need.operator {
        "NotIn" => format!("{} notin ({})", need.key, need.values.join(",")),
        "Exists" => need.key.to_owned(),
        "DoesNotExist" => format!("!{}", need.key),
        _ if need.values.len() == 1 => format!("{}={}", need.key, need.values[0]),
        _ => format!("{} in ({})", need.key, need.values.join(",")),
    };
    needs(selector).iter().map(one).collect::<Vec<_>>().join(",")
}

/// Plain labels, as a Service has them.
pub(crate) fn plain(labels: &Value) -> String {
    let one = |(key, value): (&String, &Value)| Some(format!("{key}={}", value.as_str()?));
    labels.as_object().into_iter().flatten().filter_map(one).collect::<Vec<_>>().join(",")
}

/// Does it select something with these labels? One without requirements selects everything.
pub(crate) fn fits(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    needs(selector).iter().all(|need| {
        let value = labels.get(need.key).map(String::as_str);
        match need.operator {
            "In" => value.is_some_and(|value| need.values.contains(&value)),
            "NotIn" => value.is_none_or(|value| !need.values.contains(&value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_is_a_query_and_fits_the_same_labels() {
        let labels: BTreeMap<String, String> =
            [("app", "web"), ("tier", "front")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (selector, text, is) in [
            (json!({"matchLabels": {"app": "web"}}), "app=web", true),
            (json!({"matchLabels": {"app": "db"}}), "app=db", false),
            (expression("tier", "In", json!(["front", "back"])), "tier in (front,back)", true),
            (expression("tier", "NotIn", json!(["front"])), "tier notin (front)", false),
            (expression("none", "NotIn", json!(["x"])), "none notin (x)", true),
            (expression("app", "Exists", json!([])), "app", true),
            (expression("app", "DoesNotExist", json!([])), "!app", false),
            (expression("app", "Odd", json!(["web", "x"])), "app in (web,x)", false),
            (json!({}), "", true),
        ] {
            assert_eq!((query(&selector).as_str(), fits(&selector, &labels)), (text, is), "{selector}");
        }
        assert_eq!(plain(&json!({"app": "web", "b": "c"})), "app=web,b=c");
    }
}

//! Looks at what Prometheus says: one instant query, whose one value is compared.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>

use super::{Probe, ProbeError, Sample, judged, system};
use crate::adapters::{AdapterError, Answer, Request};
use crate::faults::{Cx, quote};
use crate::model::{Comparison, Dur, Template};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many series are named when there are several.
const NAMED: usize = 3;

/// A query to Prometheus, or to what answers like it, whose value is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusProbe {
    /// Where it is: `http://prometheus:9090`, with the path before `/api/v1` if there is one.
    pub url: Template,
    /// What is asked, in PromQL: `sum(rate(http_requests_total{code=~"5.."}[1m]))`.
    pub query: Template,
    /// Headers: `Authorization: "Bearer ${secrets.token}"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// As of when, as RFC 3339 or seconds since 1970; now if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Template>,
    /// What no series at all stands for, a number; without it that decides nothing, as nobody knows why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<f64>,
    /// How several series are taken together: every one must be as wanted, or one of them. Without it there may be one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub several: Option<Several>,
    /// What the value must be.
    pub value: Comparison,
    /// Limit of one look; 5s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

/// Several series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Several {
    /// Every one must be as wanted.
    All,
    /// One must be.
    Any,
}

/// What it says.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    kind: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

/// A sample of a series.
#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Series {
    /// As PromQL writes it.
    fn name(&self) -> String {
        let labels = self.metric.iter().filter(|(name, _)| *name != "__name__");
        let labels = labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(",");
        format!("{}{{{labels}}}", self.metric.get("__name__").map_or("", String::as_str))
    }
}

/// The samples of an answer, and what it warns of.
fn series(answer: &Answer) -> Result<(Vec<Series>, Vec<String>), ProbeError> {
    let status = answer.status;
    let odd = |why: &str| ProbeError::Undecided(format!("{why} (status {status}): {}", quote(answer.body.trim(), 200)));
    let said: Said = match serde_json::from_str(&answer.body) {
        Ok(said) => said,
        Err(_) if status == 401 || status == 403 => {
            return Err(AdapterError::Refused(format!("Prometheus does not let us ask (status {status})")).into());
        }
        Err(_) if status >= 500 => {
            return Err(AdapterError::Refused(format!("Prometheus does not answer (status {status})")).into());
        }
        Err(_) => return Err(odd("this is no Prometheus: `url` is what stands before /api/v1")),
    };
    let Some(data) = said.data else {
        let text = format!("Prometheus says {}: {}", said.kind, quote(&said.error, 300));
        // What cannot be asked will not be answered by waiting; what it could not do now, it may do later.
        return Err(match status {
            400 => ProbeError::Undecided(text),
            _ => AdapterError::Refused(text).into(),
        });
    };
    let read = |value: serde_json::Value| serde_json::from_value(value).map_err(|_| odd("an odd answer"));
    match data.kind.as_str() {
        "vector" => Ok((serde_json::from_value(data.result).map_err(|_| odd("an odd answer"))?, said.warnings)),
        "scalar" => Ok((vec![Series { metric: BTreeMap::new(), value: read(data.result)? }], said.warnings)),
        "matrix" => Err(ProbeError::Undecided(
            "the query is for a range of time; take it together: `max_over_time(…)`, `rate(…)`".to_owned(),
        )),
        other => Err(ProbeError::Undecided(format!("the query is for a {other}, not for a number"))),
    }
}

impl PrometheusProbe {
    fn request(&self, cx: &Cx<'_>) -> Result<Request, ProbeError> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let timeout = system::limit(self.timeout);
        let base = cx.text(&self.url)?;
        let mut url = format!("{}/api/v1/query?query={}", base.trim_end_matches('/'), encoded(&cx.text(&self.query)?));
        if let Some(at) = &self.at {
            url.push_str(&format!("&time={}", encoded(&cx.text(at)?)));
        }
        // It should give up when we do.
        url.push_str(&format!("&timeout={}ms", timeout.as_millis().max(1)));
        let fill = |(k, t): (&String, &Template)| Ok((k.clone(), cx.text(t)?));
        let headers = self.headers.iter().map(fill).collect::<Result<_, ProbeError>>()?;
        Ok(Request { method: "GET".to_owned(), url, headers, body: None, timeout })
    }

    /// Which of them counts, and whether it is as wanted.
    fn judge(&self, found: &[Series], sample: &mut Sample, cx: &Cx<'_>) -> Result<String, ProbeError> {
        let what = format!("`{}`", quote(&self.query.to_string(), 120));
        match (found, self.several, self.empty) {
            ([], _, Some(stands)) => {
                let value = stands.to_string();
                sample.judge(judged(&self.value, &value, &what, cx)?);
                sample.detail.push_str("; there is no series");
                Ok(value)
            }
            ([], _, None) => {
                let help = "nobody knows whether it is zero, not there any more, or misspelled; write `empty: 0`, or `… or vector(0)`";
                Err(ProbeError::Undecided(format!("{what} has no series: {help}")))
            }
            ([one], _, _) => {
                let value = number(one)?;
                sample.judge(judged(&self.value, value, &what, cx)?);
                Ok(value.to_owned())
            }
            (several, None, _) => {
                let names: Vec<String> = several.iter().take(NAMED).map(Series::name).collect();
                Err(ProbeError::Undecided(format!(
                    "{what} has {} series ({}, …); take them together: `sum({})`, `max(…)`, or write `several: all` or `any`",
                    several.len(),
                    names.join(", "),
                    quote(&self.query.to_string(), 60)
                )))
            }
            (several, Some(how), _) => {
                for one in several {
                    let value = number(one)?;
                    let (holds, words) = judged(&self.value, value, &format!("{what} {}", one.name()), cx)?;
                    sample.judge((holds, words));
                    if holds == (how == Several::Any) {
                        return Ok(value.to_owned());
                    }
                }
                sample.detail.push_str(&format!("; {} series, {how:?}", several.len()).to_lowercase());
                Ok(several.last().map(|one| one.value.1.clone()).unwrap_or_default())
            }
        }
    }
}

/// A number that can be compared.
fn number(series: &Series) -> Result<&str, ProbeError> {
    if series.value.1 == "NaN" {
        let help = "it is nothing divided by nothing, or the like; write `… or vector(0)` behind what may be nothing";
        return Err(ProbeError::Undecided(format!("{} is not a number: {help}", series.name())));
    }
    Ok(&series.value.1)
}

impl Probe for PrometheusProbe {
    const KIND: &'static str = "prometheus";
    const SUMMARY: &'static str = "the value of a query to Prometheus";

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let answer = cx.world.http.send(&self.request(cx)?).await?;
        let (found, warnings) = series(&answer)?;
        let mut sample = Sample { holds: true, ..Sample::default() };
        let value = self.judge(&found, &mut sample, cx)?;
        if !warnings.is_empty() {
            sample.detail.push_str(&format!("; Prometheus warns: {}", quote(&warnings.join("; "), 200)));
        }
        sample.fields.insert("series".to_owned(), found.len().to_string());
        sample.fields.insert("value".to_owned(), value.clone());
        sample.answer = value;
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: serde_json::Value) -> Answer {
        Answer { status, headers: BTreeMap::new(), body: body.to_string() }
    }

    #[test]
    fn scalars_and_vectors_are_read_and_errors_told_apart() {
        let data = |kind: &str, result: serde_json::Value| {
            answer(200, serde_json::json!({"status": "success", "data": {"resultType": kind, "result": result}}))
        };
        let one = |answer: &Answer| series(answer).map(|(found, _)| found.iter().map(|s| s.value.1.clone()).collect());
        assert_eq!(one(&data("scalar", serde_json::json!([1.5, "7"]))), Ok(vec!["7".to_owned()]));
        let vector = serde_json::json!([{"metric": {"__name__": "up", "job": "a"}, "value": [1, "1"]}]);
        assert_eq!(series(&data("vector", vector)).unwrap().0[0].name(), r#"up{job="a"}"#);
        let undecided = |answer: &Answer| matches!(series(answer), Err(ProbeError::Undecided(_)));
        assert!(
            undecided(&data("matrix", serde_json::json!([])))
                && undecided(&data("string", serde_json::json!([1, "x"])))
        );
        let wrong = serde_json::json!({"status": "error", "errorType": "bad_data", "error": "parse error"});
        assert!(
            matches!(series(&answer(400, wrong.clone())), Err(ProbeError::Undecided(m)) if m.contains("parse error"))
        );
        assert!(matches!(series(&answer(503, wrong)), Err(ProbeError::World(AdapterError::Refused(_)))));
        let html = |status| Answer { status, headers: BTreeMap::new(), body: "<html>".into() };
        assert!(undecided(&html(200)) && undecided(&html(404)));
        assert!(matches!(series(&html(502)), Err(ProbeError::World(AdapterError::Refused(_)))));
    }

    #[test]
    fn what_is_no_number_is_not_compared() {
        let of = |value: &str| Series { metric: BTreeMap::new(), value: (0.0, value.to_owned()) };
        assert!(number(&of("NaN")).is_err() && number(&of("+Inf")).is_ok() && number(&of("0.5")).is_ok());
        assert!("+Inf".parse::<f64>().unwrap().is_infinite());
    }
}

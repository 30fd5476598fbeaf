//! Looks at an HTTP service: status, and a value in the answer.

use super::{JsonPathError, Probe, ProbeError, Sample, json_path, judged};
use crate::adapters::Request;
use crate::faults::{Cx, quote};
use crate::model::{Comparison, Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Of one look, if the playbook says nothing.
const LIMIT: Duration = Duration::from_secs(2);

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct HttpExpect {
    /// The status; any 2xx if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Comparison>,
}

/// An HTTP request whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The URL.
    pub url: Template,
    /// The method; GET if not given.
    #[serde(default = "get")]
    pub method: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: HttpExpect,
    /// A JSON path to the value that `value` compares; the whole body if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// What the value must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Comparison>,
    /// Limit of one look; 2s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

fn get() -> String {
    "GET".to_owned()
}

impl Probe for HttpProbe {
    const KIND: &'static str = "http";
    const SUMMARY: &'static str = "an HTTP answer: status, body, or a value in its JSON";

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let answer = cx.world.http.send(&self.request(cx)?).await?;
        let wanted = Wanted { expect: &self.expect, json: self.json.as_deref(), value: self.value.as_ref() };
        wanted.judge(Some(answer.status), answer.body, cx)
    }
}

impl HttpProbe {
    fn request(&self, cx: &Cx<'_>) -> Result<Request, ProbeError> {
        let fill = |(k, t): (&String, &Template)| Ok((k.clone(), cx.text(t)?));
        Ok(Request {
            method: self.method.clone(),
            url: cx.text(&self.url)?,
            headers: self.headers.iter().map(fill).collect::<Result<_, ProbeError>>()?,
            body: None,
            timeout: self.timeout.map_or(LIMIT, |d| d.0),
        })
    }
}

/// What an answer must be, whatever way it came.
pub(super) struct Wanted<'a> {
    pub expect: &'a HttpExpect,
    pub json: Option<&'a str>,
    pub value: Option<&'a Comparison>,
}

impl Wanted<'_> {
    /// Is it? The status is that of a success if nobody knows it.
    pub fn judge(&self, status: Option<u16>, body: String, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let said = status.map_or_else(|| "an answer".to_owned(), |status| format!("status {status}"));
        let mut sample = Sample { holds: true, detail: said, ..Sample::default() };
        if let Some(status) = status {
            sample.fields.insert("status".to_owned(), status.to_string());
            match self.expect.status {
                Some(wanted) if wanted != status => sample.fail(format!("status {status}\nwanted: {wanted}")),
                None if !(200..300).contains(&status) => sample.fail(format!("status {status}\nwanted: 2xx")),
                _ => {}
            }
        }
        if let Some(wanted) = self.expect.body.as_ref().filter(|_| sample.holds) {
            sample.judge(judged(wanted, &body, "the body", cx)?);
        }
        if sample.holds {
            self.look_inside(&body, &mut sample, cx)?;
        }
        sample.answer = body;
        Ok(sample)
    }

    fn look_inside(&self, body: &str, sample: &mut Sample, cx: &Cx<'_>) -> Result<(), ProbeError> {
        let (value, what) = match self.json {
            None => (body.to_owned(), "the body"),
            Some(path) => match json_path(body, path) {
                Ok(value) => (value, path),
                Err(error @ JsonPathError::Path(_)) => return Err(ProbeError::Undecided(error.to_string())),
                Err(nothing) => {
                    sample.fail(format!("{nothing}\nanswer: {}", quote(body.trim(), 400)));
                    return Ok(());
                }
            },
        };
        if let Some(wanted) = self.value {
            sample.judge(judged(wanted, &value, what, cx)?);
        }
        sample.fields.insert("value".to_owned(), value);
        Ok(())
    }
}

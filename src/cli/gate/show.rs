//! The answer of a gate in lines and as JSON: a line for each drill, then why, and what to do.

use crate::cli::Exit;
use crate::cli::past;
use crate::history::gate::{Grade, Judged, Layer, Rules};
use crate::report::tables::Tone;
use crate::report::{Style, words};
use serde_json::json;

/// For programs.
pub fn json(answers: &[Judged], exit: Exit, rules: &Rules) -> String {
    let value = json!({"schema": "blackstart/gate/v1", "at": rules.now, "exit_code": exit.code(),
        "good": exit == Exit::Pass, "max_age_seconds": rules.max_age.map(|age| age.num_seconds()),
        "require": rules.require, "subjects": rules.subjects, "tolerance": rules.tolerance, "drills": answers});
    format!("{value:#}\n")
}

/// For people.
pub fn text(answers: &[Judged], exit: Exit, style: Style) -> String {
    let mut text: String = answers.iter().map(|answer| one(answer, style)).collect();
    let bad = answers.iter().filter(|answer| answer.grade == Grade::Bad).count();
    let unsure = answers.iter().filter(|answer| answer.grade == Grade::Unverified).count();
    let drills = words::plural(answers.len() as u64, "drill");
    text.push_str(&match exit {
        Exit::Pass => format!("good: {drills}\n"),
        _ => format!("not good: of {drills} {bad} failed and {unsure} cannot be verified\n"),
    });
    text
}

fn one(answer: &Judged, style: Style) -> String {
    let (sign, word, tone) = match answer.grade {
        Grade::Good => ("✓", "good", Tone::Good),
        Grade::Unverified => ("?", "cannot be verified", Tone::Unsure),
        Grade::Bad => ("✗", "not good", Tone::Bad),
    };
    let place = answer.environment.as_deref().map_or(String::new(), |e| format!(" in {}", words::clean(e)));
    let why = match (answer.reasons.first(), &answer.run, answer.age) {
        (Some(reason), ..) => words::clean(&reason.text),
        (None, Some(run), Some(age)) => format!("run {} passed {} ago", words::clean(run.as_str()), ago(age)),
        _ => String::new(),
    };
    let mut text = format!("{}  {}{place}: {why}\n", style.paint(&format!("{sign} {word}"), tone), answer.drill);
    for reason in answer.reasons.iter().skip(1) {
        text.push_str(&format!("    also: {}\n", words::clean(&reason.text)));
    }
    let mut mends: Vec<&str> = answer.reasons.iter().map(|reason| reason.mend.as_str()).collect();
    mends.dedup();
    mends.iter().for_each(|mend| text.push_str(&format!("    do: {}\n", words::clean(mend))));
    answer.notes.iter().for_each(|note| text.push_str(&format!("    note: {}\n", words::clean(note))));
    text + &regression(&answer.regression, style)
}

/// The figures of a run against those of earlier ones.
pub fn regression(layer: &Layer, style: Style) -> String {
    let mut text = String::new();
    if let Some(why) = &layer.not_comparable {
        text.push_str(&format!("    regression: not comparable: {why}\n"));
    }
    for figure in &layer.figures {
        let mark = if figure.worse { style.paint("worse", Tone::Unsure) } else { "as before".to_owned() };
        let say = |value| past::figure(&figure.objective, value);
        let now = figure.best.map_or("not measured".to_owned(), say);
        let name = past::objective(&figure.objective, &figure.workload);
        let (median, most) = (say(figure.median), say(figure.most));
        let runs = layer.runs;
        text.push_str(&format!("    {name}: {mark}: {now}; of {runs} runs the median is {median}, the most {most}\n"));
    }
    for bound in &layer.bounds {
        let name = past::objective(&bound.objective, &bound.workload);
        let within = past::figure(&bound.objective, bound.within);
        let runs = bound.runs;
        text.push_str(&format!("    with 95 % confidence, 90 % of runs have {name} within {within} ({runs} runs)\n"));
    }
    text
}

/// `3 days`, `5 h`.
fn ago(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 172_800.. => format!("{} days", s / 86_400),
        s @ 7_200.. => format!("{} h", s / 3_600),
        s @ 120.. => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

//! The JSON Schema of a playbook, for editors: made from the same registries as the code, so that it cannot lag behind.

use super::ast::{COMMON, PHASES, Word};
use super::game_day::GameDay;
use crate::faults::FaultSpec;
use crate::fingerprints::FingerprintSpec;
use crate::model::{
    CommandSpec, Dur, EmbeddedStaging, OutputSpec, Percent, RunSpec, SecretSource, ServiceSpec, TargetSpec, VantageSpec,
};
use crate::probes::ProbeSpec;
use crate::restores::RestoreSpec;
use crate::workloads::WorkloadSpec;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The JSON Schema of a file: a drill or a game day.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let drill = drill(&mut generator);
    let game_day = of::<GameDay>(&mut generator);
    let step = step(&mut generator);
    let mut defs: Map<String, Value> = generator.take_definitions(true);
    several_targets(&mut defs);
    let shapes = defs.clone();
    for def in defs.values_mut() {
        loosen(def, &shapes);
    }
    let (mut drill, mut step) = (drill, step);
    loosen(&mut drill, &shapes);
    loosen(&mut step, &shapes);
    defs.insert("drill".to_owned(), drill);
    defs.insert("step".to_owned(), step);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Blackstart playbook",
        "description": "a drill, or a game day that lists drills",
        "type": "object",
        "if": {"required": ["game_day"]},
        "then": game_day,
        "else": {"$ref": "#/$defs/drill"},
        "$defs": defs,
    })
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn map_of(value: &Value) -> Value {
    json!({"type": "object", "propertyNames": {"pattern": "^[a-z0-9_]+$"}, "additionalProperties": value})
}

fn list_of(value: &Value) -> Value {
    json!({"type": "array", "items": value})
}

fn one_or_more(value: &Value) -> Value {
    json!({"anyOf": [value, list_of(value)]})
}

fn drill(g: &mut SchemaGenerator) -> Value {
    let steps = list_of(&json!({"$ref": "#/$defs/step"}));
    let dur = of::<Dur>(g);
    let text = json!({"type": "string"});
    let scalar = json!({"type": ["string", "number", "boolean"]});
    let mut properties = json!({
        "drill": {"type": "string", "pattern": "^[a-z0-9-]+$", "description": "the drill's name, unique"},
        "title": text,
        "environment": {"type": "string", "description": "one that the configuration allows"},
        "metadata": super::metadata::schema(),
        "objectives": objectives(&dur),
        "params": map_of(&json!({"type": "object", "additionalProperties": false,
            "properties": {"default": scalar, "description": text}})),
        "matrix": map_of(&list_of(&scalar)),
        "include": one_or_more(&text),
        "secrets": map_of(&of::<SecretSource>(g)),
        "targets": map_of(&of::<TargetSpec>(g)),
        "staging": staging(g),
        "workload": map_of(&beside(of::<WorkloadSpec>(g), json!({"service": of::<ServiceSpec>(g), "from": one_or_more(&text)}))),
        "vantages": map_of(&of::<VantageSpec>(g)),
        "fingerprints": map_of(&beside(of::<FingerprintSpec>(g), json!({"expect": {"enum": ["same", "any"]}, "within": dur}))),
        "guards": list_of(&guard(g)),
        "waive": list_of(&json!({"type": "object", "additionalProperties": false,
            "required": ["guard", "reason", "by"], "properties": {"guard": text, "reason": text, "by": text}})),
        "baseline": dur,
    });
    for phase in PHASES {
        properties[phase] = steps.clone();
    }
    json!({"type": "object", "required": ["drill", "environment"], "additionalProperties": false, "properties": properties})
}

fn objectives(dur: &Value) -> Value {
    let text = json!({"type": "string"});
    let rto = json!({"anyOf": [dur, {"type": "object", "required": ["target"], "additionalProperties": false, "properties": {
        "target": dur, "workload": text, "basis": {"enum": ["fault", "declared"]}, "fault": text}}]});
    let rpo = json!({"anyOf": [dur, {"type": "object", "additionalProperties": false, "properties": {
        "time": dur, "writes": {"type": "integer", "minimum": 0}, "workload": text, "fault": text}}]});
    let detect = json!({"anyOf": [dur, {"type": "object", "required": ["target"], "additionalProperties": false,
        "properties": {"target": dur, "fault": text}}]});
    json!({"type": "object", "additionalProperties": false,
        "properties": {"rto": one_or_more(&rto), "rpo": one_or_more(&rpo), "detect": one_or_more(&detect)}})
}

fn staging(g: &mut SchemaGenerator) -> Value {
    let script = json!({"oneOf": [{"type": "object", "required": ["command"], "additionalProperties": false,
        "properties": {"command": of::<CommandSpec>(g)}}]});
    json!({"oneOf": [
        {"type": "object", "required": ["embedded"], "additionalProperties": false,
            "properties": {"embedded": of::<EmbeddedStaging>(g)}},
        {"type": "object", "required": ["up", "down"], "additionalProperties": false,
            "properties": {"up": script, "down": script}},
    ]})
}

fn guard(g: &mut SchemaGenerator) -> Value {
    let dur = of::<Dur>(g);
    let modifiers = json!({"name": {"type": "string"}, "every": dur, "tolerate": {"type": "integer", "minimum": 0}});
    json!({"anyOf": [
        {"type": "object", "required": ["max_duration"], "additionalProperties": false, "properties": {"max_duration": dur}},
        beside(of::<ProbeSpec>(g), modifiers.clone()),
        {"type": "object", "required": ["name", "budget"], "additionalProperties": false, "properties": with(
            modifiers,
            "budget",
            json!({"type": "object", "required": ["workload"], "additionalProperties": false, "properties": {
                "workload": {"type": "string"}, "bad": {"type": "integer", "minimum": 0},
                "share": of::<Percent>(g), "over": dur}}),
        )},
    ]})
}

fn with(mut properties: Value, key: &str, value: Value) -> Value {
    properties[key] = value;
    properties
}

/// A kind with modifiers beside it; resolved when everything is known, by `loosen`.
fn beside(kind: Value, modifiers: Value) -> Value {
    json!({"kind": kind, "beside": modifiers})
}

fn step(g: &mut SchemaGenerator) -> Value {
    let dur = of::<Dur>(g);
    let text = json!({"type": "string"});
    let id = json!({"type": "string", "pattern": "^[a-z0-9_]+$"});
    let properties = json!({
        "id": id, "name": text, "milestone": id, "when": text, "after": one_or_more(&id),
        "on_fail": {"enum": ["abort", "end_phase"]},
        "repeat": {"type": "object", "required": ["times", "every"], "additionalProperties": false,
            "properties": {"times": {"type": "integer", "minimum": 1}, "every": dur}},
        "within": dur, "for": dur, "since": id, "closes": id, "output": map_of(&of::<OutputSpec>(g)),
        "deadline": dur, "at_most": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "%$"}]},
        "pick": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "%$"}]},
        "order": {"enum": ["listed", "by_name", "random"]}, "seed": {"type": "integer", "minimum": 0}, "stagger": dur,
        "acknowledge": one_or_more(&json!({"enum": ["irreversible", "env_secret"]})), "way_back": text,
        "inject": of::<FaultSpec>(g), "heal": id, "expect": of::<ProbeSpec>(g), "check": of::<ProbeSpec>(g),
        "restore": of::<RestoreSpec>(g), "run": of::<RunSpec>(g), "wait": dur, "ask": text,
        "parallel": list_of(&json!({"$ref": "#/$defs/step"})),
    });
    let verbs = Word::ALL.map(|(verb, word)| {
        let own: Map<String, Value> = std::iter::once(verb)
            .chain(COMMON)
            .chain(word.modifiers().iter().copied())
            .map(|key| (key.to_owned(), properties[key].clone()))
            .collect();
        let mut required = vec![verb];
        if matches!(word, Word::Expect | Word::Ask) {
            required.push("within");
        }
        json!({"type": "object", "additionalProperties": false, "required": required, "properties": own})
    });
    json!({"oneOf": verbs})
}

/// What the language allows and derived schemas do not know: a command's short form with keys beside it, modifiers beside
/// a kind, and a reference where a number or a truth value is expected.
fn loosen(value: &mut Value, defs: &Map<String, Value>) {
    if let Some(object) = value.as_object()
        && let (Some(kind), Some(modifiers)) =
            (object.get("kind").filter(|k| k.get("$ref").is_some()), object.get("beside"))
    {
        let mut variants = resolve(kind, defs).clone();
        for variant in variants["oneOf"].as_array_mut().into_iter().flatten() {
            for (key, schema) in modifiers.as_object().into_iter().flatten() {
                variant["properties"][key] = schema.clone();
            }
        }
        *value = variants;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|v| loosen(v, defs)),
        Value::Object(object) => {
            command_with_siblings(object, defs);
            kinds_alone(object, defs);
            object.values_mut().for_each(|v| loosen(v, defs));
            if matches!(object.get("type").and_then(Value::as_str), Some("integer" | "boolean")) {
                let strict = Value::Object(std::mem::take(object));
                let any = json!({"anyOf": [strict, {"type": "string", "pattern": r"\$\{"}]});
                object.extend(any.as_object().cloned().unwrap_or_default());
            } else if object.get("properties").is_some_and(|p| p.get("argv").is_some()) {
                let long = Value::Object(std::mem::take(object));
                let short = list_of(&json!({"type": ["string", "number", "boolean"]}));
                let any = json!({"anyOf": [short, long]});
                object.extend(any.as_object().cloned().unwrap_or_default());
            }
        }
        _ => {}
    }
}

/// A fault's `target` may be a list.
fn several_targets(defs: &mut Map<String, Value>) {
    let kinds = defs.get("FaultSpec").and_then(|faults| faults["oneOf"].as_array()).cloned().unwrap_or_default();
    let refs = kinds.iter().filter_map(|kind| kind["properties"].as_object()?.values().next()?["$ref"].as_str());
    let names: Vec<String> = refs.filter_map(|r| Some(r.strip_prefix("#/$defs/")?.to_owned())).collect();
    for name in names {
        let target = defs.get_mut(&name).and_then(|fault| fault["properties"].as_object_mut()?.get_mut("target"));
        if let Some(target) = target {
            *target = one_or_more(target);
        }
    }
}

fn resolve<'a>(value: &'a Value, defs: &'a Map<String, Value>) -> &'a Value {
    let name = value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    name.and_then(|n| defs.get(n)).unwrap_or(value)
}

/// A kind whose parameters all have defaults may be written alone: `client: retrying`.
fn kinds_alone(object: &mut Map<String, Value>, defs: &Map<String, Value>) {
    let Some(variants) = object.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    let alone = variants.iter().filter_map(|variant| {
        let name = variant["required"].as_array().filter(|r| r.len() == 1)?.first()?.as_str()?.to_owned();
        let content = resolve(variant["properties"].get(&name)?, defs).as_object()?;
        let optional = content.contains_key("properties") && !content.contains_key("required");
        optional.then(|| json!({"const": name}))
    });
    let alone: Vec<Value> = alone.collect();
    variants.extend(alone);
}

/// `{command: […], stdout: …}`: what a command takes may stand beside its words.
fn command_with_siblings(object: &mut Map<String, Value>, defs: &Map<String, Value>) {
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let Some(command) = properties.get("command") else { return };
    let own = resolve(command, defs)["properties"].as_object().cloned().unwrap_or_default();
    if !own.contains_key("argv") {
        return;
    }
    for (key, schema) in own.into_iter().filter(|(key, _)| key != "argv") {
        properties.entry(key).or_insert(schema);
    }
}

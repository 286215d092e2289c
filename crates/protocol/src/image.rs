//! Of an image's config (image specification, config.md) what says how a container of it is run. The host decides by it how the image
//! boots, and the agent runs the image's command by it: both read it here.
//!
//! It is read as Go's decoder does it, by which the programs that write configs read them, too: a field may be missing or null, and
//! so may an element of a list; a field's name counts in any case, and of two the last. `Entrypoint` and `Cmd` may be one text, as
//! Docker's old builders wrote them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// How a container of an image is run. What a config leaves out is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// `NAME=VALUE`; what has no name or no `=` is no variable.
    pub env: Vec<String>,
    /// The first words of the command.
    pub entrypoint: Vec<String>,
    /// The words after those.
    pub cmd: Vec<String>,
    /// `User`
    pub user: String,
    /// `WorkingDir`
    pub working_dir: String,
    /// `StopSignal`
    pub stop_signal: String,
    /// The names of `ExposedPorts`: `80/tcp`.
    pub exposed_ports: Vec<String>,
}

impl Runtime {
    /// Reads it from a whole config.
    ///
    /// # Errors
    /// The config is no JSON object, or a field that is needed here has another type.
    pub fn of_config(config: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice::<Document>(config).map(|document| document.0)
    }

    /// Puts others in the place of the image's entrypoint and arguments. The image's own arguments are not for another entrypoint.
    pub fn replace(&mut self, entrypoint: Option<Vec<String>>, cmd: Option<Vec<String>>) {
        if let Some(entrypoint) = entrypoint {
            self.entrypoint = entrypoint;
            self.cmd = Vec::new();
        }
        if let Some(cmd) = cmd {
            self.cmd = cmd;
        }
    }

    /// The whole command.
    pub fn command(&self) -> Vec<String> {
        [&*self.entrypoint, &*self.cmd].concat()
    }

    /// The variables by name; of two of one name, the last.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let variables = self.env.iter().filter_map(|variable| variable.split_once('='));
        let named = variables.filter(|(name, _)| !name.is_empty());
        named.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl<'de> Deserialize<'de> for Runtime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RuntimeVisitor)
    }
}

struct RuntimeVisitor;

impl<'de> Visitor<'de> for RuntimeVisitor {
    type Value = Runtime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("how a container is run")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Runtime, A::Error> {
        let mut runtime = Runtime::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "env" => runtime.env = map.next_value::<Option<List>>()?.map(List::texts).unwrap_or_default(),
                "entrypoint" => {
                    runtime.entrypoint = map.next_value::<Option<Words>>()?.map(Words::texts).unwrap_or_default()
                }
                "cmd" => runtime.cmd = map.next_value::<Option<Words>>()?.map(Words::texts).unwrap_or_default(),
                "user" => runtime.user = text(&mut map)?,
                "workingdir" => runtime.working_dir = text(&mut map)?,
                "stopsignal" => runtime.stop_signal = text(&mut map)?,
                "exposedports" => {
                    let ports = map.next_value::<Option<BTreeMap<String, IgnoredAny>>>()?.unwrap_or_default();
                    runtime.exposed_ports = ports.into_keys().collect();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(runtime)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    Ok(map.next_value::<Option<String>>()?.unwrap_or_default())
}

/// A list of texts.
#[derive(Deserialize)]
struct List(Vec<Option<String>>);

impl List {
    fn texts(self) -> Vec<String> {
        self.0.into_iter().map(Option::unwrap_or_default).collect()
    }
}

/// A command.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a list of texts, or a text")]
enum Words {
    List(List),
    Text(String),
}

impl Words {
    fn texts(self) -> Vec<String> {
        match self {
            Self::List(list) => list.texts(),
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => vec![text],
        }
    }
}

/// A whole config.
struct Document(Runtime);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image's config")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut runtime = Runtime::default();
        while let Some(key) = map.next_key::<String>()? {
            if key.eq_ignore_ascii_case("config") {
                runtime = map.next_value::<Option<Runtime>>()?.unwrap_or_default();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Document(runtime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn nulls_are_empty_wherever_they_stand() {
        for config in [
            "{}",
            r#"{"config":null}"#,
            r#"{"config":{}}"#,
            r#"{"config":{"Env":null,"Entrypoint":null,"Cmd":null,"User":null,"WorkingDir":null,"StopSignal":null}}"#,
            r#"{"config":{"Env":[],"Entrypoint":[],"Cmd":"","User":"","ExposedPorts":null,"Volumes":{"/data":null}}}"#,
            r#"{"config":{"Labels":{"a":null},"Healthcheck":null,"OnBuild":null,"Shell":null,"Other":{"x":[null]}},"history":null}"#,
        ] {
            assert_eq!(Runtime::of_config(config.as_bytes()).expect(config), Runtime::default(), "{config}");
        }
        let nulls = br#"{"config":{"Env":[null,"A=1"],"Cmd":["echo",null],"ExposedPorts":{"80/tcp":null}}}"#;
        let nulls = Runtime::of_config(nulls).unwrap();
        assert_eq!((nulls.env, nulls.cmd), (texts(&["", "A=1"]), texts(&["echo", ""])));
        assert_eq!(nulls.exposed_ports, texts(&["80/tcp"]));
    }

    #[test]
    fn names_count_in_any_case_and_the_last_of_two() {
        let config = br#"{"Config":{"cmd":["a"],"Cmd":["b"],"ENTRYPOINT":["c"],"workingDir":"/w","stopSignal":"INT","uSER":"app"}}"#;
        let runtime = Runtime::of_config(config).unwrap();
        assert_eq!((runtime.cmd, runtime.entrypoint), (texts(&["b"]), texts(&["c"])));
        assert_eq!((&*runtime.working_dir, &*runtime.stop_signal, &*runtime.user), ("/w", "INT", "app"));
    }

    #[test]
    fn a_command_may_be_one_text() {
        let runtime = Runtime::of_config(br#"{"config":{"Entrypoint":"/entry","Cmd":"one word"}}"#).unwrap();
        assert_eq!((runtime.entrypoint, runtime.cmd), (texts(&["/entry"]), texts(&["one word"])));
    }

    #[test]
    fn an_entrypoint_does_without_the_arguments_of_another_one() {
        let image = || Runtime { entrypoint: texts(&["/entry"]), cmd: texts(&["a", "b"]), ..Runtime::default() };
        for (entrypoint, cmd, expected) in [
            (None, None, &["/entry", "a", "b"][..]),
            (None, Some(&["c"][..]), &["/entry", "c"]),
            (Some(&["/other", "-x"][..]), None, &["/other", "-x"]),
            (Some(&["/other"]), Some(&["c"]), &["/other", "c"]),
            (Some(&[]), Some(&["c"]), &["c"]),
            (Some(&[]), None, &[]),
        ] {
            let mut runtime = image();
            runtime.replace(entrypoint.map(texts), cmd.map(texts));
            assert_eq!(runtime.command(), texts(expected));
        }
    }

    #[test]
    fn other_types_are_errors() {
        for config in [
            "",
            "[]",
            "null",
            r#"{"config":[]}"#,
            r#"{"config":{"Env":{}}}"#,
            r#"{"config":{"Cmd":[1]}}"#,
            r#"{"config":{"User":0}}"#,
        ] {
            assert!(Runtime::of_config(config.as_bytes()).is_err(), "{config}");
        }
    }

    #[test]
    fn variables_have_a_name_and_a_value() {
        let env = texts(&["A=1", "A=2", "B=x=y", "C", "PATH=", "", "=C:=C:\\", "D=a\nb"]);
        let variables: Vec<_> = Runtime { env, ..Runtime::default() }.variables().into_iter().collect();
        let expected = [("A", "2"), ("B", "x=y"), ("D", "a\nb"), ("PATH", "")];
        assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

//! Tables of servers that do something odd, each with the outcome that it must have.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{IMAGE, Sample};
use crate::args;
use crate::support::Run;
use crate::support::concurrent::all_at_once;
use crate::support::registry::user::{images, soundness};
use crate::support::registry::{Answer, Content, Request, Server, User};

/// What a pull may take, whatever the server does: the issue of memory is not one of the server's making.
const MEMORY: u64 = 150 << 20;

/// How long it may take. The longest that is waited for here are three timeouts of a second each, and the pauses between.
const TIME: Duration = Duration::from_secs(30);

/// Cases that run at once.
const AT_ONCE: usize = 8;

type Script = Box<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;
type Also = Box<dyn Fn(&Server, &Run) + Send + Sync>;

/// A server that does something odd.
pub(super) struct Case {
    name: String,
    content: Content,
    /// Made anew for each command, since scripts may count.
    script: Box<dyn Fn() -> Script + Send + Sync>,
    reference: &'static str,
    config: &'static str,
    commands: &'static [&'static str],
    code: i32,
    says: Vec<String>,
    also: Option<Also>,
}

impl Case {
    /// The server holds this.
    pub(super) fn new(name: impl Into<String>, content: &Content) -> Self {
        Self {
            name: name.into(),
            content: content.clone(),
            script: Box::new(|| Box::new(|_| None)),
            reference: IMAGE,
            config: "",
            commands: &["build", "fetch"],
            code: 0,
            says: Vec::new(),
            also: None,
        }
    }

    /// The server answers so, where this has an answer.
    pub(super) fn answers(
        mut self,
        script: impl Fn(&Request) -> Option<Answer> + Clone + Send + Sync + 'static,
    ) -> Self {
        self.script = Box::new(move || Box::new(script.clone()));
        self
    }

    /// The pull ends with this code, and with these words.
    pub(super) fn fails(mut self, code: i32, says: &[&str]) -> Self {
        self.code = code;
        self.says = says.iter().map(|&text| text.to_owned()).collect();
        self
    }

    /// The pull ends well, with these words on the way.
    pub(super) fn works(self, says: &[&str]) -> Self {
        self.fails(0, says)
    }

    /// A `build` is what shows it: all blobs are what their digests say, and `fetch` looks into no layer.
    pub(super) fn build_only(mut self) -> Self {
        self.commands = &["build"];
        self
    }

    /// With these settings for the server's host, in the configuration file.
    pub(super) fn configured(mut self, config: &'static str) -> Self {
        self.config = config;
        self
    }

    /// This holds as well.
    pub(super) fn also(mut self, also: impl Fn(&Server, &Run) + Send + Sync + 'static) -> Self {
        self.also = Some(Box::new(also));
        self
    }

    fn check(&self, sample: &Sample, command: &str) {
        let name = format!("{}, {command}", self.name);
        let server = self.content.clone().serve_with((self.script)());
        let user = User::new();
        if !self.config.is_empty() {
            user.configure(&format!("[registry.\"{}\"]\n{}\n", server.host(), self.config));
        }
        let reference = server.reference(self.reference);
        let image = user.path("image");
        let mut program = user.command_within(MEMORY);
        match command {
            "build" => program.args(args!["build", reference, "-o", image, "--no-sync"]),
            _ => program.args([command, &reference]),
        };
        let begin = Instant::now();
        let run = Run::of(&mut program);
        let time = begin.elapsed();
        assert_eq!(run.code(), Some(self.code), "{name}: {run}");
        for text in &self.says {
            let text = text.replace("HOST", &server.host());
            assert!(run.stderr().contains(&text), "{name}: {text:?} is not in what it says: {run}");
        }
        assert!(time < TIME, "{name}: it took {time:?}: {run}");
        assert!(!run.stderr().contains("panicked"), "{name}: {run}");
        assert!(run.stderr().chars().all(|c| c == '\n' || !c.is_control()), "{name}: not for a terminal: {run}");
        assert!(run.stderr().len() < 8000, "{name}: too many words: {run}");
        if let Err(reason) = soundness(&user.cache()) {
            panic!("{name}: {reason}: {run}");
        }
        if self.code == 0 {
            if command == "build" {
                sample.assert_built(&image);
            } else {
                user.build(&reference, "image", &["--offline"]).ok();
                sample.assert_built(&image);
            }
        } else {
            assert!(!image.exists(), "{name}: there is an image");
            assert!(run.stderr().lines().any(|line| line.starts_with("error: ")), "{name}: {run}");
            if user.cache().exists() && self.commands.contains(&"fetch") {
                assert_eq!(images(&user.cache()), Vec::<Value>::new(), "{name}: the cache has a name for it");
            }
        }
        if let Some(also) = &self.also {
            also(&server, &run);
        }
    }
}

/// Each case must end as it says, by each of its commands, within the limits of memory and time.
pub(super) fn check(sample: &Sample, cases: Vec<Case>) {
    let runs: Vec<_> =
        cases.iter().flat_map(|case| case.commands.iter().map(move |command| (case, *command))).collect();
    for some in runs.chunks(AT_ONCE) {
        all_at_once(some, |(case, command)| case.check(sample, command));
    }
}

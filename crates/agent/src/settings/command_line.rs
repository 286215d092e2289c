//! The kernel's command line: what must be known before any disk is read.
//!
//! | parameter | what it sets |
//! |---|---|
//! | `ip=` | the network, in the kernel's own syntax (nfsroot.rst) |
//! | `banger.hostname=` | the host name |
//! | `banger.wait=SECONDS` | how long a workload that has ended is kept for somebody to ask for its output |
//! | `banger.hold` | the workload is not started |

use std::time::Duration;

/// The longest that anybody is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What the command line says, and the parameters as they stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(Vec<(String, Option<String>)>);

impl CommandLine {
    /// The command line as /proc/cmdline has it. What is between double quotes is not separated at spaces; the quotes go, as the kernel has it
    /// (lib/cmdline.c).
    pub fn parse(text: &str) -> Self {
        let mut quoted = false;
        let words = text.trim().split(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        let parameters = words.filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
            Some((name, value)) => (unquote(name), Some(unquote(value))),
            None => (unquote(word), None),
        });
        Self(parameters.collect())
    }

    /// The value of a parameter, the last where there are several.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// All values of a parameter.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).filter_map(|(_, value)| value.as_deref())
    }

    /// Whether a parameter stands there, with a value that does not say no.
    pub fn flag(&self, name: &str) -> bool {
        let last = self.0.iter().rev().find(|(key, _)| key == name);
        last.is_some_and(|(_, value)| !matches!(value.as_deref(), Some("0" | "no" | "off" | "false")))
    }

    /// Which of these parameters stands there last.
    pub fn last_of<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        self.0.iter().rev().find_map(|(key, _)| names.iter().copied().find(|name| name == key))
    }

    /// `banger.wait=`: how long somebody who asks for the workload's output is waited for.
    pub fn wait(&self) -> Option<Duration> {
        let seconds = self.value("banger.wait")?.parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
    }
}

fn unquote(text: &str) -> String {
    text.replace('"', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_read_as_the_kernel_reads_them() {
        let line = CommandLine::parse(
            "ro  quiet root=/dev/vda a=1 a=2 \"b=x y\" c=\"d e\" banger.hold f=g=h i= banger.wait=90\n",
        );
        assert_eq!(line.value("root"), Some("/dev/vda"));
        assert_eq!(line.value("a"), Some("2"));
        assert_eq!(line.values("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(line.value("b"), Some("x y"));
        assert_eq!(line.value("c"), Some("d e"));
        assert_eq!(line.value("f"), Some("g=h"));
        assert_eq!(line.value("i"), Some(""));
        assert_eq!((line.value("quiet"), line.flag("quiet"), line.flag("loud")), (None, true, false));
        assert!(line.flag("banger.hold"));
        assert_eq!(line.wait(), Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_flag_can_say_no_and_a_wait_has_an_end() {
        for no in ["0", "no", "off", "false"] {
            assert!(!CommandLine::parse(&format!("banger.hold banger.hold={no}")).flag("banger.hold"));
        }
        assert!(CommandLine::parse("banger.hold=0 banger.hold").flag("banger.hold"));
        assert_eq!(CommandLine::parse("banger.wait=999999999").wait(), Some(LONGEST_WAIT));
        for wrong in ["banger.wait=-1", "banger.wait=", "banger.wait"] {
            assert_eq!(CommandLine::parse(wrong).wait(), None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_line(text in any::<String>()) {
            let _ = CommandLine::parse(&text);
        }
    }
}

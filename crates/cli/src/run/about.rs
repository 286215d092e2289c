//! What an image says of itself, as far as it is of use to who starts it: its command, and the ports that it exposes.

use std::path::Path;

use banger_protocol::boot::{Boot, BootMode};
use banger_protocol::image::Runtime;
use banger_protocol::paths::IMAGE;
use banger_protocol::settings::Guest;
use banger_vm::Forward;
use banger_vm::forward::Protocol;

use super::contents::Contents;
use crate::args::Run;

/// Programs that, without arguments, read commands from standard input.
const SHELLS: [&str; 9] = ["sh", "bash", "ash", "dash", "zsh", "ksh", "mksh", "fish", "busybox"];
/// Characters of a command that are shown.
const SHOWN: usize = 100;

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    /// How it boots; none where it has no agent.
    mode: Option<BootMode>,
    /// The command that the agent runs.
    pub(super) argv: Vec<String>,
    /// `ExposedPorts`, by number and protocol.
    exposed: Vec<(u16, Protocol)>,
}

impl About {
    /// Reads it from an image's files. The options of `run` and the chosen `boot` go before what the image says.
    pub(super) fn of(contents: &Contents, run: &Run, boot: Option<&Boot>) -> Self {
        let config = contents.read(IMAGE).and_then(|bytes| Runtime::of_config(&bytes).ok());
        let about = Self::new(config.unwrap_or_default(), contents.guest(), run.cmd.as_ref().map(|words| &*words.0));
        Self { mode: boot.map(|boot| boot.mode).or(about.mode), ..about }
    }

    fn new(mut config: Runtime, guest: Option<Guest>, cmd: Option<&[String]>) -> Self {
        let mode = guest.as_ref().map(|guest| guest.boot.mode);
        if let Some(guest) = guest {
            config.replace(guest.entrypoint, guest.command);
        }
        config.replace(None, cmd.map(<[String]>::to_vec));
        let mut exposed: Vec<_> = config.exposed_ports.iter().filter_map(|text| port(text)).collect();
        exposed.sort_by_key(|&(number, protocol)| (number, protocol == Protocol::Udp));
        exposed.dedup();
        Self { mode, argv: config.command(), exposed }
    }

    /// Whether the agent runs its command, and that is a shell that waits for somebody to type.
    pub(super) fn is_shell(&self) -> bool {
        let Some((program, arguments)) = self.argv.split_first() else { return false };
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let arguments = match (name, arguments) {
            ("busybox", [applet, rest @ ..]) if SHELLS.contains(&applet.as_str()) => rest,
            ("busybox", _) => return false,
            _ => arguments,
        };
        let is_interactive = |argument: &String| ["-i", "-l", "-il", "--login", "--interactive"].contains(&&**argument);
        self.mode == Some(BootMode::Workload) && SHELLS.contains(&name) && arguments.iter().all(is_interactive)
    }

    /// What is to be said of ports when a machine is ready: those that are forwarded, and those that the image exposes and are not.
    pub(super) fn ports(&self, forwards: &[Forward]) -> Vec<String> {
        let forwarded = forwards.iter().map(|forward| {
            format!("{} leads to port {}/{} of the guest", forward.address(), forward.guest, forward.protocol)
        });
        let missing = self.exposed.iter().filter(|&&(number, protocol)| {
            !forwards.iter().any(|forward| forward.guest == number && forward.protocol == protocol)
        });
        let missing = missing.map(|&(number, protocol)| {
            let host = if number < 1024 { number.saturating_add(8000) } else { number };
            let suffix = if protocol == Protocol::Udp { "/udp" } else { "" };
            format!("port {number}/{protocol} is exposed and not forwarded: --port {host}:{number}{suffix} forwards it")
        });
        forwarded.chain(missing).collect()
    }
}

/// A command as it is typed, as far as it fits on a line.
pub(super) fn shown(argv: &[String]) -> String {
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || "-_./=:,@%+".contains(char))
    };
    let word = |text: &String| {
        if plain(text) { text.clone() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
    };
    let line = argv.iter().map(word).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// `80`, `80/tcp`, `53/udp`
fn port(text: &str) -> Option<(u16, Protocol)> {
    let (number, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((number, "tcp")) => (number, Protocol::Tcp),
        Some((number, "udp")) => (number, Protocol::Udp),
        Some(_) => return None,
    };
    Some((number.parse().ok().filter(|number| *number != 0)?, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(config: &str) -> About {
        let config = format!(r#"{{"config":{config}}}"#);
        let config = Runtime::of_config(config.as_bytes()).unwrap();
        About { mode: Some(BootMode::Workload), ..About::new(config, None, None) }
    }

    #[test]
    fn a_shell_is_one_that_waits_for_commands() {
        for (config, expected) in [
            (r#"{"Cmd":["/bin/bash"]}"#, true),
            (r#"{"Cmd":["sh"]}"#, true),
            (r#"{"Entrypoint":["/bin/busybox","sh"],"Cmd":["-l"]}"#, true),
            (r#"{"Cmd":["bash","-c","echo"]}"#, false),
            (r#"{"Cmd":["/bin/busybox","httpd"]}"#, false),
            (r#"{"Entrypoint":["/entry.sh"],"Cmd":["bash"]}"#, false),
            (r#"{"Cmd":null,"Entrypoint":null}"#, false),
        ] {
            assert_eq!(about(config).is_shell(), expected, "{config}");
        }
        assert!(!About { mode: Some(BootMode::Systemd), ..about(r#"{"Cmd":["bash"]}"#) }.is_shell());
    }

    #[test]
    fn ports_are_forwarded_or_said_not_to_be() {
        let about = about(r#"{"ExposedPorts":{"80/tcp":{},"443":null,"53/udp":{},"9000-9001/tcp":{},"1/sctp":{}}}"#);
        let forwards = ["8080:80".parse().unwrap(), "[::1]:2222:22".parse().unwrap()];
        assert_eq!(
            about.ports(&forwards),
            [
                "127.0.0.1:8080 leads to port 80/tcp of the guest",
                "[::1]:2222 leads to port 22/tcp of the guest",
                "port 53/udp is exposed and not forwarded: --port 8053:53/udp forwards it",
                "port 443/tcp is exposed and not forwarded: --port 8443:443 forwards it",
            ]
        );
    }

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let argv = ["nginx", "-g", "daemon off;", "", "a\"b"].map(str::to_owned);
        assert_eq!(shown(&argv), r#"nginx -g "daemon off;" "" "a\"b""#);
        assert_eq!(shown(&["ü".repeat(200)]).chars().count(), SHOWN + 1);
    }
}

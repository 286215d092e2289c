//! `banger login` and `banger logout`

use std::io::{Read, Write};
use std::sync::Arc;

use banger_api::Observer;
use banger_oci::Reference;
use banger_operations::progress::Telling;
use banger_registry::credentials::{self, Credential, Environment, Fixed, Place, Store};
use banger_registry::{Client, Error, Settings};

use crate::args::{Login, Logout};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::password::{self, LIMIT};
use crate::progress::{Shown, Task};
use crate::registry;
use crate::text::Line;

const REFUSED: &str =
    "nothing was kept; many registries want a token in place of the password, made on their web pages";

/// Tries a name and a password, and keeps them.
pub(crate) fn login(login: &Login) -> Result<(), Failure> {
    let host = credentials::registry(&login.registry).map_err(of)?;
    let store = Store::new(login.authfile.as_deref(), &Environment::of_process()).map_err(of)?;
    let settings = registry::settings(&login.hosts)?;
    if login.password.is_some() {
        warn("a password on the command line can be seen by others on this machine; --password-stdin hides it");
    }
    let username = username(login, &host)?;
    let password = password(login, &host, &username)?;

    let is_checked = check(settings, &host, &username, &password)?;
    let stored = store.save(&host, &username, &password).map_err(of)?;
    say(&format!("logged in to {host} as {username} ({})", stored.place));
    if !is_checked {
        warn(&format!("{host} does not want to know who asks, so nobody has checked name and password"));
    }
    if let Place::File(path) = &stored.place {
        let path = path.display();
        warn(&format!("{path} holds the password unencrypted; a credential helper (credsStore) would keep it safe"));
    }
    if let Some(other) = &stored.hidden_by {
        let other = other.display();
        warn(&format!("{other} has something else for {host}, and is asked first: this login will not be used"));
    }
    Ok(())
}

/// Forgets one registry, or all.
pub(crate) fn logout(logout: &Logout) -> Result<(), Failure> {
    let store = Store::new(logout.authfile.as_deref(), &Environment::of_process()).map_err(of)?;
    let (whom, forgotten) = if logout.all {
        ("any registry".to_owned(), store.erase_all())
    } else {
        let host = credentials::registry(&logout.registry).map_err(of)?;
        let forgotten = store.erase(&host);
        (host, forgotten)
    };
    let forgotten = forgotten.map_err(of)?;
    if let Some(place) = (!logout.all).then(|| store.stays_in(&whom)).flatten() {
        warn(&format!("{} still has a login to {whom}; unset it to be logged out", place.display()));
    }
    if forgotten.is_empty() {
        say(&format!("not logged in to {whom}: there was nothing to forget"));
    }
    for (name, place) in forgotten {
        say(&format!("forgot the login to {name} ({place})"));
    }
    Ok(())
}

fn username(login: &Login, host: &str) -> Result<String, Failure> {
    let given = match &login.username {
        Some(username) => Some(username.clone()),
        None => password::ask(&format!("User name for {host}: "))?,
    };
    match given {
        Some(username) if username.is_empty() => Err(Failure::new(Exit::Usage, "the user name is empty")),
        Some(username) => Ok(username),
        None => Err(Failure::new(Exit::Usage, format!("no user name for {host} is given"))
            .hint("there is no terminal to ask on; give one with --username USER")),
    }
}

fn password(login: &Login, host: &str, username: &str) -> Result<String, Failure> {
    let given = if login.password_stdin {
        Some(from_stdin()?)
    } else if let Some(password) = &login.password {
        Some(password.clone())
    } else {
        password::ask_password(&format!("Password of {username} for {host}: "))?
    };
    match given {
        Some(password) if password.is_empty() => Err(Failure::new(Exit::Usage, "the password is empty")),
        Some(password) => Ok(password),
        None => Err(Failure::new(Exit::Usage, format!("no password of {username} for {host} is given"))
            .hint("there is no terminal to ask on; write it to standard input, and add --password-stdin")),
    }
}

/// All of standard input, without the end of its line.
fn from_stdin() -> Result<String, Failure> {
    let mut input = Vec::new();
    let limit = LIMIT as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_end(&mut input).map_err(|error| {
        Failure::new(crate::failure::exit_of_io(&error), "cannot read from standard input").because(&error)
    })?;
    if input.len() > LIMIT {
        return Err(Failure::new(Exit::Usage, format!("a password of more than {} KiB is none", LIMIT >> 10)));
    }
    let text = String::from_utf8(input).map_err(|_| Failure::new(Exit::Usage, "the password is not UTF-8"))?;
    Ok(without_newline(&text).to_owned())
}

/// `echo` and editors end a line that nobody means.
fn without_newline(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

/// Asks the registry whether it takes the name and the password. Says whether it wanted to see them.
fn check(settings: Settings, host: &str, username: &str, password: &str) -> Result<bool, Failure> {
    let credential = Credential::Basic { username: username.to_owned(), password: password.to_owned() };
    // A registry is asked by a name in it; which one does not matter.
    let name = Reference::parse(&format!("{host}/login")).map_err(|error| Failure::of(Exit::Usage, &error))?;
    let credentials = Arc::new(Fixed::new(credential, [name.domain().to_owned()]));
    let progress = Arc::new(Shown::new(Task::Fetch, false));
    let shown: Arc<dyn Observer> = Arc::<Shown>::clone(&progress);
    let client = Client::new(settings, credentials, Arc::new(Telling::new(&shown))).map_err(of)?;
    let checked = client.check(&name);
    progress.finish();
    checked.map_err(|error| match error {
        Error::Unauthorized { host, detail, .. } => {
            let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
            Failure::new(Exit::Unauthorized, format!("{host} does not let {username} in{detail}")).hint(REFUSED)
        }
        error => of(error),
    })
}

fn of(error: Error) -> Failure {
    let error = banger_oci::Error::from(error);
    Failure::of(Exit::from(&error), &error)
}

fn warn(text: &str) {
    say(&format!("warning: {text}"));
}

/// Standard output is for data, and there is none.
fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", Line(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_belongs_to_the_pipe() {
        for (text, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            (" \n", " "),
        ] {
            assert_eq!(without_newline(text), password);
        }
    }
}

//! `banger image push`

use banger_api::image::{Form, PushImage, Pushed};

use crate::access;
use crate::args::{ImagePush, PushForm, ServiceOptions};
use crate::failure::Failure;
use crate::output::{json, print, say};
use crate::service;
use crate::text::Bytes;

pub(super) fn run(push: &ImagePush, options: &ServiceOptions) -> Result<(), Failure> {
    let reference = banger_operations::hints::reference(&push.reference)?;
    let request = PushImage {
        image: push.image.clone(),
        reference: reference.to_string(),
        form: match push.form {
            PushForm::Artifact => Form::Artifact,
            PushForm::Containerdisk => Form::Containerdisk,
        },
        registry: access::requested(&push.registry, Some(&reference), true)?,
    };
    let service = service::open(options)?;
    let pushed = service::follow(push.quiet, |observer| service.image_push(&request, observer))?;
    if push.json {
        print(&json(&pushed)?)
    } else if push.quiet {
        print(&pushed.digest)
    } else {
        summarise(&pushed);
        Ok(())
    }
}

fn summarise(pushed: &Pushed) {
    say(&format!("{}: {}, {} sent", pushed.reference, Bytes(pushed.size), Bytes(pushed.sent)));
    say(&format!("digest {}", pushed.digest));
}

//! What differs from request to request in the calls that are not JSON by POST: forms, and calls about what a provider
//! keeps.

use sluice_dialects::openai::{MAX_MODEL_BYTES, Pieces};
use sluice_http1::{Known, RequestHead};
use sluice_pipeline::{Head, ProviderPlan, TargetPlan, is_stored, percent_encode_into};
use sluice_types::Route;

use crate::answer::push_decimal;
use crate::call_view::View;
use crate::exchange::{Call, Exchange, Rare};
use crate::{form, outbound};

/// Method, query and body of such a request.
#[derive(Clone, Copy)]
pub(crate) struct OpenCall<'e> {
    /// With a blank behind it.
    method: &'static str,
    pub(crate) query: &'e str,
    content_type: Option<&'e [u8]>,
    has_body: bool,
}

impl<'e> OpenCall<'e> {
    pub(crate) fn of(route: Route, rare: &'e Rare, head: &RequestHead, bytes: &'e [u8]) -> Self {
        let content_type = head.known(bytes, Known::ContentType);
        if !is_stored(route) {
            return Self { method: "POST ", query: "", content_type, has_body: true };
        }
        let (stored, has_body) = (&rare.stored, rare.stored.has_body());
        let content_type = content_type.filter(|_| has_body);
        Self { method: stored.method, query: &stored.query, content_type, has_body }
    }

    /// What stands in front of the template of the head.
    pub(crate) fn push_method(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_bytes());
    }

    /// Appends the type and the length of the body, where there is one.
    pub(crate) fn push_body_headers(&self, out: &mut Vec<u8>, body: &Pieces<'_>) {
        if let Some(content_type) = self.content_type {
            out.extend_from_slice(b"content-type: ");
            out.extend_from_slice(content_type);
            out.extend_from_slice(b"\r\n");
        }
        if self.has_body {
            out.extend_from_slice(b"content-length: ");
            push_decimal(out, body.len_bytes() as u64, 1);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Puts into [`Exchange::name`] what goes into the path or the form: the name of a model, or what the client's path ends
/// with.
pub(crate) fn write_name<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
    head: &Head,
) {
    if is_stored(x.route) {
        x.name.clear();
        x.name.push_str(&x.rare.stored.rest);
        return;
    }
    let View::Form(form) = call.view else {
        return outbound::write_name(x, call, target, provider, head);
    };
    let mut scratch = [0; MAX_MODEL_BYTES];
    let name = outbound::upstream_model(x, call, target, &mut scratch).to_owned();
    if head.names_model() {
        percent_encode_into(x.name, &name);
    } else {
        form.write_model(x.name, &name, form::boundary_of(x.head, &x.request.bytes));
    }
}

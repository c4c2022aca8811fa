//! Calls about what a provider keeps: files, batches, stored responses.
//!
//! Such a call names no model, and what it is about exists at one provider only. It goes to the provider that the client
//! names, or to the first that offers it, and passes untouched in both directions.

use std::rc::Rc;

use sluice_dialects::json::scan_object;
use sluice_dialects::wire::NativeView;
use sluice_http1::{Method, RequestHead};
use sluice_pipeline::{StoredCall, Upstream, offers, percent_decoded};
use sluice_types::ErrorKind;

use crate::admission::{Uses, admit};
use crate::answer::Answer;
use crate::call_view::{self, View};
use crate::exchange::{Call, Exchange, Rare};
use crate::refusal::{Ended, Refusal};
use crate::{dispatch, form, relay};

/// Names the provider, by its name in the config.
const PROVIDER_HEADER: &[u8] = b"x-sluice-provider";

/// Parameters of a query that a provider sees: those of OpenAI's and Anthropic's lists, and of a response that is streamed
/// once more.
const FORWARDED_PARAMETERS: [&str; 13] = [
    "limit",
    "after",
    "before",
    "order",
    "purpose",
    "starting_after",
    "include",
    "include[]",
    "stream",
    "include_obfuscation",
    "after_id",
    "before_id",
    "beta",
];

/// What a call asks for, kept beyond the life of the head's bytes.
#[derive(Default)]
pub(crate) struct Stored {
    /// With a blank behind it.
    pub(crate) method: &'static str,
    /// What follows the name of the API in the path.
    pub(crate) rest: String,
    /// What of the query is forwarded.
    pub(crate) query: String,
    /// Only for keys that may use every model.
    for_all_models: bool,
}

impl Stored {
    /// Whether a body is sent, even an empty one.
    pub(crate) fn has_body(&self) -> bool {
        self.method == "POST "
    }

    /// Whether it has models run that it does not name.
    fn starts_a_batch(&self) -> bool {
        self.for_all_models && self.has_body()
    }
}

/// Takes a call out of the head of its request, and refuses a body that is not of the type it takes.
pub(crate) fn take(
    call: StoredCall<'_>,
    head: &RequestHead,
    bytes: &[u8],
    rare: &mut Rare,
) -> Result<(), Refusal> {
    let stored = &mut rare.stored;
    stored.method = match call.method {
        Method::Post => "POST ",
        Method::Delete => "DELETE ",
        _ => "GET ",
    };
    stored.rest.clear();
    stored.rest.push_str(call.rest);
    stored.for_all_models = call.is_for_all_models();
    write_query(&mut stored.query, head.query(bytes).unwrap_or_default());
    match call.method {
        Method::Post if call.is_upload() => form::check_content_type(call.route, head, bytes),
        Method::Post => call_view::check_content_type(head, bytes),
        _ => Ok(()),
    }
}

fn write_query(out: &mut String, query: &str) {
    out.clear();
    let is_forwarded = |parameter: &&str| {
        let name = percent_decoded(parameter.split('=').next().unwrap_or_default());
        FORWARDED_PARAMETERS.contains(&name.as_str())
    };
    for parameter in query.split('&').filter(is_forwarded) {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(parameter);
    }
}

/// Carries a call through to the end of its answer.
pub(crate) async fn run<A: Answer>(mut x: Exchange<'_, '_, A>) -> Result<(), Ended> {
    let plan = Rc::clone(x.plan);
    check_body(&x)?;
    let provider = choose(&x)?;
    x.settlement.set_model(0, x.request.body().len());
    let view = View::Native(NativeView { n: 1, ..NativeView::default() });
    let model = &plan.plan().nameless[provider];
    let uses = if x.rare.stored.starts_a_batch() { Uses::Unknown } else { Uses::Nothing };
    admit(&mut x, &view, model, uses)?;
    let call = Call { view: &view, model };
    let held = dispatch::dispatch(&mut x, call).await?;
    relay::relay(&mut x, call, held).await
}

/// Uploads are the provider's to judge. Everything else is a JSON object, or nothing.
fn check_body<A>(x: &Exchange<'_, '_, A>) -> Result<(), Refusal> {
    let body = x.request.body();
    if body.is_empty() || form::boundary_of(x.head, &x.request.bytes).is_some() {
        return Ok(());
    }
    let refused = |message: String| Err(Refusal::new(ErrorKind::InvalidBody, message));
    if !x.rare.stored.has_body() {
        return refused("This call takes no body.".to_owned());
    }
    match scan_object::<0>(body, &[]) {
        Ok(_) => Ok(()),
        Err(error) => refused(format!("Could not parse the request body: {error}.")),
    }
}

/// The provider that the call goes to, as an index. Whether there is none of the name, it does not offer the call, or the
/// key may use none of its models looks the same: a key learns nothing about providers it does not reach.
fn choose<A>(x: &Exchange<'_, '_, A>) -> Result<usize, Refusal> {
    let plan = x.plan.plan();
    let key = x.settlement.key().map(|key| plan.keys.get(key));
    if x.rare.stored.for_all_models && key.is_some_and(|key| !key.allows_everything()) {
        let message =
            "This key may not use every model, so it may not list what all keys share, nor start batches.";
        return Err(Refusal::new(ErrorKind::NotPermitted, message));
    }
    let upstream = Upstream::of_route(x.route);
    let name = named_provider(x.head, &x.request.bytes)?;
    let found = (0..).zip(&plan.providers).find(|(at, provider)| {
        name.is_none_or(|name| name == provider.name.as_bytes())
            && upstream.is_some_and(|call| offers(provider.dialect, call, provider.quirks))
            && key.is_none_or(|key| plan.reaches(key, *at))
    });
    let not_found = || {
        let which = if name.is_some() { "The provider that `x-sluice-provider` names" } else { "A provider" };
        let message = format!(
            "{which} does not exist, does not offer this API, or this key has access to none of its models."
        );
        Refusal::new(ErrorKind::ProviderNotFound, message)
    };
    found.map(|(at, _)| at as usize).ok_or_else(not_found)
}

fn named_provider<'b>(head: &RequestHead, bytes: &'b [u8]) -> Result<Option<&'b [u8]>, Refusal> {
    let mut names =
        head.fields().iter(bytes).filter(|field| field.name.eq_ignore_ascii_case(PROVIDER_HEADER));
    let name = names.next().map(|field| field.value.trim_ascii());
    if names.next().is_some() {
        let message = "The request has the header `x-sluice-provider` twice.";
        return Err(Refusal::new(ErrorKind::ProviderNotFound, message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_forwarded_by_name() {
        let cases = [
            ("", ""),
            ("limit=2&after=file-1", "limit=2&after=file-1"),
            ("key=secret&limit=2&api-version=1", "limit=2"),
            ("include%5B%5D=a&include[]=b&Limit=3", "include%5B%5D=a&include[]=b"),
            ("&&limit", "limit"),
        ];
        let mut out = String::from("left over");
        for (query, expected) in cases {
            write_query(&mut out, query);
            assert_eq!(out, expected, "{query}");
        }
    }
}

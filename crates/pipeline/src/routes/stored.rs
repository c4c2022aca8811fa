//! Paths of what a provider keeps: files, batches, stored responses. They name no model, but an object by its id.

use sluice_http1::Method;
use sluice_types::Route;

use super::RouteMatch;

/// A call about what a provider keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredCall<'p> {
    /// Which API.
    pub route: Route,
    /// GET, POST or DELETE.
    pub method: Method,
    /// What follows the name of the API in the path: nothing, `/{id}` or `/{id}/{verb}`. Safe to send as it is.
    pub rest: &'p str,
}

impl StoredCall<'_> {
    /// Whether it is about all objects instead of one: it lists them, or adds one.
    #[must_use]
    pub fn is_collection(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether it sends a file.
    #[must_use]
    pub fn is_upload(&self) -> bool {
        let is_files = matches!(self.route, Route::Files | Route::AnthropicFiles);
        is_files && self.is_collection() && self.method == Method::Post
    }

    /// Whether it lists what all callers have made, or has models run that the call does not name.
    #[must_use]
    pub fn is_for_all_models(&self) -> bool {
        self.is_collection() && !self.is_upload()
    }
}

/// Longest id, in bytes. Those of OpenAI have about 60.
const MAX_ID_BYTES: usize = 256;

/// One API of this sort, and the methods its paths take.
struct Api {
    name: &'static str,
    route: Route,
    /// Of the name alone.
    collection: &'static str,
    /// Of `/{id}`.
    object: &'static str,
    /// Of `/{id}/{verb}`.
    verbs: &'static [(&'static str, &'static str)],
}

const APIS: [Api; 4] = [
    Api {
        name: "/files",
        route: Route::Files,
        collection: "GET, POST",
        object: "GET, DELETE",
        verbs: &[("content", "GET")],
    },
    Api {
        name: "/batches",
        route: Route::Batches,
        collection: "GET, POST",
        object: "GET",
        verbs: &[("cancel", "POST")],
    },
    Api {
        name: "/responses",
        route: Route::StoredResponses,
        collection: "",
        object: "GET, DELETE",
        verbs: &[("cancel", "POST"), ("input_items", "GET")],
    },
    Api {
        name: "/messages/batches",
        route: Route::MessageBatches,
        collection: "GET, POST",
        object: "GET, DELETE",
        verbs: &[("cancel", "POST"), ("results", "GET")],
    },
];

/// Finds the call of a path with its version; `None` where it is about something else.
pub(super) fn match_stored<'p>(method: Method, path: &'p str, prefix: &str) -> Option<RouteMatch<'p>> {
    match_stored_api(method, path.strip_prefix("/v1")?, prefix)
}

/// The same for a path without its version.
pub(super) fn match_stored_api<'p>(method: Method, path: &'p str, prefix: &str) -> Option<RouteMatch<'p>> {
    let (api, rest) = APIS.iter().find_map(|api| {
        let rest = path.strip_prefix(api.name)?;
        (rest.is_empty() || rest.starts_with('/')).then_some((api, rest))
    })?;
    let methods = match rest.strip_prefix('/').map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
        // What creates a response names a model, and is found elsewhere.
        None if api.collection.is_empty() => return None,
        None => api.collection,
        Some((id, _)) if !is_id(id) => "",
        Some((id, "")) if rest.len() == id.len() + 1 => api.object,
        Some((_, verb)) => {
            api.verbs.iter().find(|(name, _)| *name == verb).map_or("", |(_, methods)| *methods)
        }
    };
    let route = match api.route {
        Route::Files if prefix == "/anthropic" => Route::AnthropicFiles,
        route => route,
    };
    Some(match methods {
        "" => RouteMatch::Unknown,
        _ if takes(methods, method) => RouteMatch::Stored(StoredCall { route, method, rest }),
        _ => RouteMatch::WrongMethod(methods),
    })
}

fn takes(methods: &str, method: Method) -> bool {
    let name = match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
        _ => return false,
    };
    methods.split(", ").any(|allowed| allowed == name)
}

/// Ids of providers are letters, digits and a few signs. Nothing that a path could be made of gets through, escaped or
/// not, and no dots alone.
fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ID_BYTES).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::super::match_route;
    use super::*;

    #[test]
    fn paths_of_kept_objects() {
        use Method::{Delete, Get, Post};
        let cases = [
            (Get, "/v1/files", Route::Files, ""),
            (Post, "/openai/v1/files", Route::Files, ""),
            (Get, "/openai/files/file-1", Route::Files, "/file-1"),
            (Delete, "/v1/files/file-1", Route::Files, "/file-1"),
            (Get, "/v1/files/file-1/content", Route::Files, "/file-1/content"),
            (Post, "/v1/batches", Route::Batches, ""),
            (Post, "/v1/batches/batch_1/cancel", Route::Batches, "/batch_1/cancel"),
            (Get, "/v1/responses/resp_1", Route::StoredResponses, "/resp_1"),
            (Post, "/v1/responses/resp_1/cancel", Route::StoredResponses, "/resp_1/cancel"),
            (Get, "/v1/responses/resp_1/input_items", Route::StoredResponses, "/resp_1/input_items"),
            (Post, "/anthropic/v1/messages/batches", Route::MessageBatches, ""),
            (Get, "/v1/messages/batches/msgbatch_1/results", Route::MessageBatches, "/msgbatch_1/results"),
            (Get, "/anthropic/v1/files", Route::AnthropicFiles, ""),
        ];
        for (method, path, route, rest) in cases {
            let expected = RouteMatch::Stored(StoredCall { route, method, rest });
            assert_eq!(match_route(method, path), expected, "{path}");
        }
        let refused = [
            (Post, "/v1/files/file-1", "GET, DELETE"),
            (Get, "/v1/batches/batch_1/cancel", "POST"),
            (Method::Put, "/v1/files", "GET, POST"),
            (Get, "/v1/responses", "POST"),
        ];
        for (method, path, allowed) in refused {
            assert_eq!(match_route(method, path), RouteMatch::WrongMethod(allowed), "{path}");
        }
    }

    #[test]
    fn edge_71_nothing_but_an_id_is_taken_for_one() {
        let long = format!("/v1/files/{}", "x".repeat(257));
        for path in [
            "/v1/files/",
            "/v1/files/../models",
            "/v1/files/..",
            "/v1/files/.x",
            "/v1/files/a%2Fb",
            "/v1/files/a%20b",
            "/v1/files/a:b",
            "/v1/files/a/",
            "/v1/files/a/content/",
            "/v1/files/a/content/b",
            "/v1/files//content",
            "/v1/files/a/delete",
            "/v1/filesx",
            &long,
        ] {
            assert_eq!(match_route(Method::Get, path), RouteMatch::Unknown, "{path}");
        }
    }
}

use sluice_http1::Method;
use sluice_types::Route;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteMatch<'p> {
    /// An API call with a JSON body.
    Call(Route),
    /// The list of models.
    ListModels,
    /// One model by name.
    GetModel(&'p str),
    /// Whether the process lives.
    Health,
    /// Whether it wants traffic.
    Ready,
    /// The path exists, for the methods named.
    WrongMethod(&'static str),
    /// No such path.
    Unknown,
}

/// Longest model name taken from a path, in bytes.
const MAX_MODEL_IN_PATH: usize = 256;

/// Finds the route of a request. `path` is the canonical path the parser made; authentication and dispatch both use
/// this one answer, so they cannot disagree about what is asked for.
#[must_use]
pub fn match_route(method: Method, path: &str) -> RouteMatch<'_> {
    let call = |route| {
        if method == Method::Post { RouteMatch::Call(route) } else { RouteMatch::WrongMethod("POST") }
    };
    let read = |found| {
        if matches!(method, Method::Get | Method::Head) {
            found
        } else {
            RouteMatch::WrongMethod("GET, HEAD")
        }
    };
    match path {
        "/v1/chat/completions" => call(Route::Chat),
        "/v1/completions" => call(Route::Completions),
        "/v1/embeddings" => call(Route::Embeddings),
        "/v1/responses" => call(Route::Responses),
        "/v1/models" => read(RouteMatch::ListModels),
        "/healthz" => read(RouteMatch::Health),
        "/readyz" => read(RouteMatch::Ready),
        _ => match path.strip_prefix("/v1/models/") {
            Some(id) if !id.is_empty() && id.len() <= MAX_MODEL_IN_PATH => read(RouteMatch::GetModel(id)),
            _ => RouteMatch::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let cases = [
            (Method::Post, "/v1/chat/completions", RouteMatch::Call(Route::Chat)),
            (Method::Get, "/v1/chat/completions", RouteMatch::WrongMethod("POST")),
            (Method::Get, "/v1/models", RouteMatch::ListModels),
            (Method::Get, "/v1/models/meta/llama", RouteMatch::GetModel("meta/llama")),
            (Method::Get, "/v1/models/", RouteMatch::Unknown),
            (Method::Post, "/v1/models", RouteMatch::WrongMethod("GET, HEAD")),
            (Method::Head, "/healthz", RouteMatch::Health),
            (Method::Post, "/v1/chat/completions/", RouteMatch::Unknown),
            (Method::Get, "/V1/models", RouteMatch::Unknown),
        ];
        for (method, path, expected) in cases {
            assert_eq!(match_route(method, path), expected, "{path}");
        }
    }
}

use sluice_dialects::wire::Wire;
use sluice_http1::Method;
use sluice_types::Route;

mod stored;

pub use stored::StoredCall;
use stored::{match_stored, match_stored_api};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteMatch<'p> {
    /// An API call that names a model.
    Call(Call<'p>),
    /// A call about what a provider keeps.
    Stored(StoredCall<'p>),
    /// The list of models.
    ListModels(ModelsShape),
    /// One model by name.
    GetModel(&'p str, ModelsShape),
    /// What a key is allowed and has left.
    KeyInfo,
    /// Whether the process lives.
    Health,
    /// Whether it wants traffic.
    Ready,
    /// The path exists, for the methods named.
    WrongMethod(&'static str),
    /// No such path.
    Unknown,
}

/// An API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'p> {
    /// Which API.
    pub route: Route,
    /// The model, where the path names it; as it stands there, escapes and all.
    pub model: Option<&'p str>,
}

/// Whose shape a list of models has. OpenAI's and Anthropic's have the same path; a header tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelsShape {
    /// OpenAI's, or Anthropic's where the client names Anthropic's version.
    Openai,
    /// Anthropic's.
    Anthropic,
    /// Gemini's.
    Gemini,
}

/// Longest model name taken from a path, in bytes.
const MAX_MODEL_IN_PATH: usize = 512;

/// Prefixes under which each official SDK finds the API it expects, so that only its base URL changes.
const DROP_IN_PREFIXES: [&str; 5] = ["/openai", "/anthropic", "/genai", "/bedrock", "/cohere"];

/// Finds the route of a request. `path` is the canonical path the parser made; authentication and dispatch both use
/// this one answer, so they cannot disagree about what is asked for.
#[must_use]
pub fn match_route(method: Method, path: &str) -> RouteMatch<'_> {
    match path {
        "/v1/chat/completions" => call(method, Route::Chat),
        "/healthz" => read(method, RouteMatch::Health),
        "/readyz" => read(method, RouteMatch::Ready),
        _ => match DROP_IN_PREFIXES.iter().find_map(|prefix| Some((*prefix, under(path, prefix)?))) {
            Some((prefix, rest)) => match_api(method, rest, prefix),
            None => match_api(method, path, ""),
        },
    }
}

/// The dialect of those who ask for a path that leads to no call, or ask for it in the wrong way: they too can read an error
/// only in their own.
#[must_use]
pub fn wire_of_path(path: &str) -> Wire {
    // Not a list to go through: of prefixes that are known each takes a comparison of words, and every request asks.
    if path.starts_with("/anthropic/") || path.starts_with("/v1/messages") {
        Wire::Anthropic
    } else if path.starts_with("/genai/")
        || path.starts_with("/v1beta/")
        || path.starts_with("/v1beta1/")
        || path.starts_with("/v1/projects/")
    {
        Wire::Gemini
    } else if path.starts_with("/bedrock/") || path.starts_with("/model/") {
        Wire::Bedrock
    } else if path.starts_with("/cohere/") || path.starts_with("/v2/") || path.starts_with("/v1/rerank") {
        Wire::Cohere
    } else {
        Wire::OpenaiChat
    }
}

/// What follows a prefix, which must end at a slash.
fn under<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

fn call<'p>(method: Method, route: Route) -> RouteMatch<'p> {
    call_with(method, route, None)
}

fn call_with(method: Method, route: Route, model: Option<&str>) -> RouteMatch<'_> {
    if method == Method::Post {
        RouteMatch::Call(Call { route, model })
    } else {
        RouteMatch::WrongMethod("POST")
    }
}

fn read<'p>(method: Method, found: RouteMatch<'p>) -> RouteMatch<'p> {
    if matches!(method, Method::Get | Method::Head) { found } else { RouteMatch::WrongMethod("GET, HEAD") }
}

fn match_api<'p>(method: Method, path: &'p str, prefix: &str) -> RouteMatch<'p> {
    let route = match path {
        "/v1/chat/completions" => Route::Chat,
        "/v1/completions" => Route::Completions,
        "/v1/embeddings" => Route::Embeddings,
        "/v1/responses" => Route::Responses,
        "/v1/images/generations" => Route::Images,
        "/v1/audio/speech" => Route::Speech,
        "/v1/moderations" => Route::Moderations,
        "/v1/audio/transcriptions" => Route::Transcriptions,
        "/v1/audio/translations" => Route::Translations,
        "/v1/images/edits" => Route::ImageEdits,
        "/v1/images/variations" => Route::ImageVariations,
        "/v1/messages" => Route::Messages,
        "/v1/messages/count_tokens" => Route::CountTokens,
        "/v2/chat" => Route::CohereChat,
        "/v2/embed" => Route::CohereEmbed,
        "/v2/rerank" | "/v1/rerank" => Route::Rerank,
        _ => return match_named(method, path, prefix),
    };
    call(method, route)
}

/// Paths with a name in them, and lists.
fn match_named<'p>(method: Method, path: &'p str, prefix: &str) -> RouteMatch<'p> {
    let shape = match prefix {
        "/anthropic" => ModelsShape::Anthropic,
        _ => ModelsShape::Openai,
    };
    match path {
        "/v1/models" if prefix == "/genai" => {
            return read(method, RouteMatch::ListModels(ModelsShape::Gemini));
        }
        "/v1/models" => return read(method, RouteMatch::ListModels(shape)),
        "/v1/key/info" => return read(method, RouteMatch::KeyInfo),
        "/v1beta/models" => return read(method, RouteMatch::ListModels(ModelsShape::Gemini)),
        _ => {}
    }
    if let Some(found) = match_stored(method, path, prefix) {
        return found;
    }
    if let Some(name) = google_model(path) {
        return match_google(
            method,
            name,
            if path.starts_with("/v1/models/") { shape } else { ModelsShape::Gemini },
        );
    }
    if let Some(rest) = path.strip_prefix("/model/") {
        return match_bedrock(method, rest);
    }
    if prefix == "/openai" {
        return match_openai_prefix(method, path, prefix);
    }
    RouteMatch::Unknown
}

/// What follows `models/` in the paths of Gemini and Vertex AI, and in OpenAI's path of one model.
fn google_model(path: &str) -> Option<&str> {
    ["/v1/models/", "/v1beta/models/"].iter().find_map(|prefix| path.strip_prefix(prefix)).or_else(|| {
        let project =
            path.strip_prefix("/v1/projects/").or_else(|| path.strip_prefix("/v1beta1/projects/"))?;
        project.split_once("/publishers/google/models/").map(|(_, name)| name)
    })
}

/// `{model}:{verb}`, or the name alone.
fn match_google(method: Method, name: &str, shape: ModelsShape) -> RouteMatch<'_> {
    if name.is_empty() || name.len() > MAX_MODEL_IN_PATH {
        return RouteMatch::Unknown;
    }
    if let Some((model, verb)) = name.rsplit_once(':')
        && !model.is_empty()
    {
        let route = match verb {
            "generateContent" => Some(Route::GenerateContent),
            "streamGenerateContent" => Some(Route::StreamGenerateContent),
            "countTokens" => Some(Route::GeminiCountTokens),
            "embedContent" => Some(Route::EmbedContent),
            "batchEmbedContents" => Some(Route::BatchEmbedContents),
            _ => None,
        };
        if let Some(route) = route {
            return call_with(method, route, Some(model));
        }
    }
    read(method, RouteMatch::GetModel(name, shape))
}

/// `{model}/{verb}`
fn match_bedrock(method: Method, rest: &str) -> RouteMatch<'_> {
    let Some((model, verb)) = rest.rsplit_once('/') else { return RouteMatch::Unknown };
    let route = match verb {
        "converse" => Route::Converse,
        "converse-stream" => Route::ConverseStream,
        "invoke" => Route::Invoke,
        "invoke-with-response-stream" => Route::InvokeStream,
        _ => return RouteMatch::Unknown,
    };
    if model.is_empty() || model.contains('/') || model.len() > MAX_MODEL_IN_PATH {
        return RouteMatch::Unknown;
    }
    call_with(method, route, Some(model))
}

/// Azure's deployment paths, and OpenAI's paths without their version, both under `/openai`.
fn match_openai_prefix<'p>(method: Method, path: &'p str, prefix: &str) -> RouteMatch<'p> {
    let (model, api) = match path.strip_prefix("/deployments/") {
        Some(rest) => match rest.split_once('/') {
            Some((model, _)) if !model.is_empty() && model.len() <= MAX_MODEL_IN_PATH => {
                (Some(model), &rest[model.len()..])
            }
            _ => return RouteMatch::Unknown,
        },
        None => (None, path),
    };
    if model.is_none()
        && let Some(found) = match_stored_api(method, api, prefix)
    {
        return found;
    }
    let route = match api {
        "/chat/completions" => Route::Chat,
        "/completions" => Route::Completions,
        "/embeddings" => Route::Embeddings,
        "/responses" if model.is_none() => Route::Responses,
        "/images/generations" => Route::Images,
        "/images/edits" => Route::ImageEdits,
        "/audio/speech" => Route::Speech,
        "/audio/transcriptions" => Route::Transcriptions,
        "/audio/translations" => Route::Translations,
        "/moderations" if model.is_none() => Route::Moderations,
        "/images/variations" if model.is_none() => Route::ImageVariations,
        "/models" if model.is_none() => return read(method, RouteMatch::ListModels(ModelsShape::Openai)),
        _ => return RouteMatch::Unknown,
    };
    call_with(method, route, model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let openai = ModelsShape::Openai;
        let cases = [
            (Method::Post, "/v1/chat/completions", call(Method::Post, Route::Chat)),
            (Method::Get, "/v1/chat/completions", RouteMatch::WrongMethod("POST")),
            (Method::Get, "/v1/models", RouteMatch::ListModels(openai)),
            (Method::Get, "/v1/models/meta/llama", RouteMatch::GetModel("meta/llama", openai)),
            (Method::Get, "/v1/models/", RouteMatch::Unknown),
            (Method::Post, "/v1/models", RouteMatch::WrongMethod("GET, HEAD")),
            (Method::Post, "/v1/models/x", RouteMatch::WrongMethod("GET, HEAD")),
            (Method::Head, "/healthz", RouteMatch::Health),
            (Method::Get, "/v1/key/info", RouteMatch::KeyInfo),
            (Method::Get, "/anthropic/v1/key/info", RouteMatch::KeyInfo),
            (Method::Post, "/v1/key/info", RouteMatch::WrongMethod("GET, HEAD")),
            (Method::Post, "/v1/chat/completions/", RouteMatch::Unknown),
            (Method::Get, "/V1/models", RouteMatch::Unknown),
            (Method::Get, "/v1beta/models/g:generateContent", RouteMatch::WrongMethod("POST")),
            (Method::Get, "/v1beta/models", RouteMatch::ListModels(ModelsShape::Gemini)),
            (Method::Get, "/openaix/v1/models", RouteMatch::Unknown),
        ];
        for (method, path, expected) in cases {
            assert_eq!(match_route(method, path), expected, "{path}");
        }
    }

    #[test]
    fn every_sdk_finds_its_paths() {
        let cases = [
            ("/openai/v1/chat/completions", Route::Chat, None),
            ("/openai/chat/completions", Route::Chat, None),
            ("/openai/deployments/my%2Fgpt/chat/completions", Route::Chat, Some("my%2Fgpt")),
            ("/anthropic/v1/messages", Route::Messages, None),
            ("/v1/messages/count_tokens", Route::CountTokens, None),
            (
                "/v1beta/models/gemini-2.5-flash:generateContent",
                Route::GenerateContent,
                Some("gemini-2.5-flash"),
            ),
            ("/genai/v1beta/models/g:streamGenerateContent", Route::StreamGenerateContent, Some("g")),
            ("/v1/models/a/b:c:generateContent", Route::GenerateContent, Some("a/b:c")),
            (
                "/v1/projects/p/locations/l/publishers/google/models/g:countTokens",
                Route::GeminiCountTokens,
                Some("g"),
            ),
            ("/model/anthropic.claude-v2%3A0/converse", Route::Converse, Some("anthropic.claude-v2%3A0")),
            ("/bedrock/model/m/converse-stream", Route::ConverseStream, Some("m")),
            ("/v2/chat", Route::CohereChat, None),
            ("/cohere/v2/rerank", Route::Rerank, None),
        ];
        for (path, route, model) in cases {
            assert_eq!(match_route(Method::Post, path), RouteMatch::Call(Call { route, model }), "{path}");
        }
        for path in
            ["/model//converse", "/model/a/b/converse", "/openai/deployments//chat/completions", "/model/x"]
        {
            assert_eq!(match_route(Method::Post, path), RouteMatch::Unknown, "{path}");
        }
    }
}

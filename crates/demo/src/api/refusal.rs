use serde::Serialize;

use crate::reply::Reply;

/// An error in OpenAI's shape: `{"error":{"message","type","param","code"}}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn reply(&self, request_id: &str) -> Reply {
        let inner = Inner { message: &self.message, kind: self.kind, param: self.param, code: self.code };
        Reply::json(self.status, request_id, &Body { error: inner })
    }

    pub(crate) fn server_error() -> Self {
        let message =
            "The demo provider was asked to fail some requests, and this is one of them.".to_owned();
        Self { status: 500, kind: "server_error", code: None, param: None, message }
    }

    pub(crate) fn not_json() -> Self {
        let message = "We could not parse the JSON body of your request: an object is expected.".to_owned();
        Self::request(400, None, None, message)
    }

    pub(crate) fn missing(param: &'static str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::request(400, Some("missing_required_parameter"), Some(param), message)
    }

    pub(crate) fn invalid(param: &'static str, expected: &str) -> Self {
        let message = format!("Invalid value for '{param}': it must be {expected}.");
        Self::request(400, Some("invalid_value"), Some(param), message)
    }

    pub(crate) fn bad_http(status: u16, why: &str) -> Self {
        Self::request(
            status,
            Some("bad_http_request"),
            None,
            format!("The request is not valid HTTP: {why}."),
        )
    }

    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        Self::request(404, Some("unknown_url"), None, format!("Invalid URL ({method} {path})"))
    }

    pub(crate) fn wrong_method(method: &str) -> Self {
        Self::request(
            405,
            Some("method_not_supported"),
            None,
            format!("Not allowed to {method} on this URL."),
        )
    }

    pub(crate) fn unknown_model(id: &str) -> Self {
        let message = format!("The model '{id}' does not exist or you do not have access to it.");
        Self::request(404, Some("model_not_found"), Some("model"), message)
    }

    fn request(
        status: u16,
        code: Option<&'static str>,
        param: Option<&'static str>,
        message: String,
    ) -> Self {
        Self { status, kind: "invalid_request_error", code, param, message }
    }
}

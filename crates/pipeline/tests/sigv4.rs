//! Requests as a whole, signed as AWS's own examples and SDKs sign them.

use sluice_pipeline::sigv4::{AwsKey, SignedRequest, Signer, body_digest};
use sluice_types::Secret;

fn lines(signer: &Signer, request: &SignedRequest<'_>, now_s: u64) -> Vec<String> {
    let mut out = Vec::new();
    signer.sign(request, now_s, &mut out);
    let text = String::from_utf8(out).expect("header lines are ASCII");
    assert!(text.ends_with("\r\n"));
    text.lines().map(str::to_owned).collect()
}

/// Path, query, headers, the names of those that are signed, and the signature.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

/// Examples of "Signature calculations for the authorization header" of the S3 reference.
#[test]
fn the_examples_of_s3() {
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";
    let key = AwsKey {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
        session_token: None,
    };
    let signer = Signer::new(key, "us-east-1", "s3");
    let cases: [Case; 3] = [
        (
            "/test.txt",
            "",
            &[("range", "bytes=0-9")],
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("/", "lifecycle", &[], HEADERS, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "/",
            "max-keys=2&prefix=J",
            &[],
            HEADERS,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (path, query, headers, signed, signature) in cases {
        let request = SignedRequest {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path,
            query,
            body_sha256_hex: &body_digest(&[]),
            headers,
        };
        let expected = [
            format!("x-amz-content-sha256: {EMPTY}"),
            "x-amz-date: 20130524T000000Z".to_owned(),
            format!(
                "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders={signed}, Signature={signature}"
            ),
        ];
        assert_eq!(lines(&signer, &request, 1_369_353_600), expected);
    }
}

/// Bedrock's paths hold encoded colons and slashes, which are encoded once more for the signature. The expected values are
/// those of the official JavaScript SDK.
#[test]
fn edge_74_model_names_with_colons_and_slashes() {
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP\
                         fIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGd";
    const BODY: &[u8] = br#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#;
    let key = AwsKey {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
        session_token: Some(Secret::new(TOKEN.into())),
    };
    let signer = Signer::new(key, "us-east-1", "bedrock");
    let cases = [
        (
            "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse",
            "350a8b090cbe95afa4fbb8f301bd5b123aad281f276ab726feeeddf5fc3c8d95",
        ),
        (
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F\
             us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse-stream",
            "a940313a61a221343ec6e00df97307c9fa856f071128775c81c751b84834d9b0",
        ),
    ];
    for (path, signature) in cases {
        let request = SignedRequest {
            method: "POST",
            host: "bedrock-runtime.us-east-1.amazonaws.com",
            path,
            query: "",
            body_sha256_hex: &body_digest(&[&BODY[..9], &BODY[9..]]),
            headers: &[("content-type", "application/json")],
        };
        let expected = [
            "x-amz-content-sha256: 45e583fed2564dc00e823303d7609f8587af7f685b993cb0f998afc0d480b01d"
                .to_owned(),
            "x-amz-date: 20261124T100000Z".to_owned(),
            format!("x-amz-security-token: {TOKEN}"),
            format!(
                "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
                 Signature={signature}"
            ),
        ];
        assert_eq!(lines(&signer, &request, 1_795_514_400), expected);
    }
}

//! The functions' arguments and answers: messages of the package
//! `envoy.source.extensions.common.wasm`.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct VerifySignatureArguments {
    #[prost(string, tag = "1")]
    pub(super) hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) text: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    pub(super) result: bool,
    #[prost(string, tag = "2")]
    pub(super) error: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignArguments {
    #[prost(string, tag = "1")]
    pub(super) hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) private_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) text: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignResult {
    #[prost(bool, tag = "1")]
    pub(super) result: bool,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) signature: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(super) error: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetEnvoyFilterStateArguments {
    #[prost(string, tag = "1")]
    pub(super) path: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
    #[prost(int32, tag = "3")]
    pub(super) span: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeclarePropertyArguments {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bool, tag = "2")]
    pub(super) readonly: bool,
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) schema: Vec<u8>,
    #[prost(int32, tag = "5")]
    pub(super) span: i32,
}

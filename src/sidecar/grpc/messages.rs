//! The messages of the publishing methods, with the field numbers that Dapr publishes
//! (`dapr/proto/runtime/v1/pubsub.proto`), and the details of an error (`google/rpc/status.proto`,
//! `google/rpc/error_details.proto`).
//!
//! Written by hand, so that building needs no `protoc`; fields that nothing here reads are left out.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use tonic::Code;

use crate::sidecar::errors::ApiError;
use crate::sidecar::wrap::Metadata;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PublishEventRequest {
    #[prost(string, tag = "1")]
    pub(crate) pubsub_name: String,
    #[prost(string, tag = "2")]
    pub(crate) topic: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) data: Bytes,
    #[prost(string, tag = "4")]
    pub(crate) data_content_type: String,
    #[prost(btree_map = "string, string", tag = "5")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BulkPublishRequest {
    #[prost(string, tag = "1")]
    pub(crate) pubsub_name: String,
    #[prost(string, tag = "2")]
    pub(crate) topic: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) entries: Vec<BulkPublishRequestEntry>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BulkPublishRequestEntry {
    #[prost(string, tag = "1")]
    pub(crate) entry_id: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) event: Bytes,
    #[prost(string, tag = "3")]
    pub(crate) content_type: String,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) metadata: Metadata,
}

/// Field 1 lists failed entries, but as soon as there is one, daprd answers with an error instead.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BulkPublishResponse {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

/// `google.rpc.Status`, sent as `grpc-status-details-bin`: an SDK's error code is the reason in it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusDetails {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

impl StatusDetails {
    /// What daprd tells of `error` beside its message: reason and circumstances.
    pub(crate) fn of(code: Code, error: &ApiError) -> Self {
        let info = error.reason().map(|(reason, metadata)| {
            let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let info = ErrorInfo { reason: reason.to_owned(), domain: "dapr.io".to_owned(), metadata };
            let type_url = "type.googleapis.com/google.rpc.ErrorInfo".to_owned();
            Any { type_url, value: info.encode_to_vec() }
        });
        Self { code: code.into(), message: error.message().to_owned(), details: info.into_iter().collect() }
    }
}

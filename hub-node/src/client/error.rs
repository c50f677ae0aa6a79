//! Why an exchange failed.

/// An exchange with a node failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No connection, or it broke.
    #[error("cannot reach the node: {0}")]
    Exchange(#[source] ureq::Error),
    /// The node said no.
    #[error("the node answered {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its reason.
        message: String,
    },
    /// The user asked to stop while the node was tried again.
    #[error("stopped before the end")]
    Stopped,
    /// An answer that goes on has ended.
    #[error("the node has ended the answer")]
    Ended,
    /// An answer broke off, or cannot be kept.
    #[error("the transfer broke off: {0}")]
    Transfer(#[source] std::io::Error),
    /// The answer is not what the API promises.
    #[error("the node's answer cannot be read: {0}")]
    Answer(#[source] serde_json::Error),
    /// A key or value in the answer is not base64.
    #[error("an entry in the node's answer is not base64: {0}")]
    Base64(#[source] base64::DecodeError),
}

impl ClientError {
    /// Whether trying again may help: nobody answered, or the node asks to come back later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Exchange(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 503 | 507),
            Self::Stopped | Self::Ended | Self::Transfer(_) | Self::Answer(_) | Self::Base64(_) => {
                false
            }
        }
    }
}

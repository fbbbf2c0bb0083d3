//! What a proxy does with the headers of a request and of its response.

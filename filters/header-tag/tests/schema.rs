//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(header_tag::HeaderTag, "header-tag");

mod request {
    legation_testing::schema!(header_tag::RequestTag, "header-tag-request");
}

mod trailers {
    legation_testing::schema!(header_tag::TrailersTag, "header-tag-trailers");
}

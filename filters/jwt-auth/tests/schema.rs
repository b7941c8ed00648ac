//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(jwt_auth::JwtAuth, "jwt-auth");

mod host {
    legation_testing::schema!(jwt_auth::JwtAuth, "jwt-auth-host");
}

//! [`jwt_auth`] as a smaller module: RS*, ES* and HS* alone. RS* and ES* it leaves to the
//! host, so it is for Envoys that have the foreign function `verify_signature`, as Envoy's
//! releases do. Envoy is ready sooner with it.

legation::register!(jwt_auth::JwtAuth);

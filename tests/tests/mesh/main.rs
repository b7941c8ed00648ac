//! Istio and Envoy Gateway: the files of `envoy-config/istio/` and `envoy-config/envoy-gateway/`.
//!
//! There is no control plane here. What it makes of the files is made by [`istio`] and [`envoy_gateway`], after
//! their source, put into one Envoy by [`world`], and asked what the filters were to do.

mod envoy_gateway;
mod in_envoy;
mod istio;
mod manifest;
mod shared;
mod shows;
#[path = "../scenarios/stage.rs"]
mod stage;
mod told;
mod valid;
mod world;

//! Three clusters that Argo CD deploys to: what it does by itself, and what `deploy` makes of it.

mod failing;
mod fleet;
mod killed;
mod states;
mod waves;
mod without;

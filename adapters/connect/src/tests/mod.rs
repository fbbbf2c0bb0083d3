//! Races on a clock that the tests drive, exact to the millisecond.
mod clock;
mod drops;
mod fixture;
mod network;
mod order;
mod race;
mod resolvers;
mod system;

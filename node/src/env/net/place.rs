//! Where nodes are: IP addresses with a port, and what they are good for.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// As libp2p writes it.
pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// Reads what begins with an IP address and a TCP port.
pub(super) fn address(multiaddr: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = multiaddr.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::from(ip),
        Protocol::Ip6(ip) => IpAddr::from(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip.to_canonical(), port)),
        _ => None,
    }
}

/// From where an address can be reached; the order is that of how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Only on this machine.
    Machine,
    /// Only on a private net.
    Private,
    /// Everywhere.
    World,
}

/// From where an address can be reached; `None` for one that names no node.
pub(super) fn reach(ip: IpAddr) -> Option<Reach> {
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() {
        return None;
    }
    let private = match ip {
        IpAddr::V4(ip) => {
            if ip.is_broadcast() {
                return None;
            }
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || a == 0 || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    Some(match (ip.is_loopback(), private) {
        (true, _) => Reach::Machine,
        (false, true) => Reach::Private,
        (false, false) => Reach::World,
    })
}

/// Whether an address makes sense to somebody at `to`, or from them: nobody learns addresses of nets they are not in.
pub(super) fn makes_sense(address: SocketAddr, to: IpAddr) -> bool {
    match (reach(address.ip()), reach(to)) {
        (Some(address_reach), Some(to)) => address.port() != 0 && address_reach >= to,
        _ => false,
    }
}

/// Addresses that are likely in one hand: the first 24 bits of IPv4, 48 of IPv6. Loopback is in nobody's.
pub(super) fn neighbourhood(ip: IpAddr) -> Option<[u8; 6]> {
    let ip = ip.to_canonical();
    if ip.is_loopback() {
        return None;
    }
    let mut bytes = [0; 6];
    match ip {
        // Not to be confused with an IPv6 one: those begin otherwise.
        IpAddr::V4(ip) => bytes[..3].copy_from_slice(&ip.octets()[..3]),
        IpAddr::V6(ip) => bytes.copy_from_slice(&ip.octets()[..6]),
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_go_both_ways() {
        for text in ["1.2.3.4:7513", "[2a00::1]:1", "127.0.0.1:0"] {
            assert_eq!(address(&multiaddr(at(text))), Some(at(text)));
        }
        assert_eq!(address(&"/dns4/example.org/tcp/1".parse().unwrap()), None);
        assert_eq!(address(&"/ip4/1.2.3.4/udp/1".parse().unwrap()), None);
    }

    #[test]
    fn addresses_stay_in_their_net() {
        let sense = |address: &str, to: &str| makes_sense(at(address), at(to).ip());
        assert!(sense("127.0.0.1:5", "127.0.0.1:9"));
        assert!(!sense("127.0.0.1:5", "8.8.8.8:9"));
        assert!(!sense("127.0.0.1:5", "10.1.1.1:9"));
        assert!(sense("10.0.0.1:5", "192.168.0.1:9"));
        assert!(!sense("10.0.0.1:5", "8.8.8.8:9"));
        assert!(!sense("100.64.0.1:5", "8.8.8.8:9"));
        assert!(sense("9.9.9.9:5", "8.8.8.8:9"));
        assert!(sense("9.9.9.9:5", "127.0.0.1:9"));
        assert!(!sense("9.9.9.9:0", "8.8.8.8:9"));
        assert!(!sense("0.0.0.0:5", "127.0.0.1:9"));
        assert!(!sense("224.0.0.1:5", "127.0.0.1:9"));
        assert!(sense("[2a00::1]:5", "8.8.8.8:9"));
    }

    #[test]
    fn neighbours() {
        let of = |text: &str| neighbourhood(at(text).ip());
        assert_eq!(of("1.2.3.4:1"), of("1.2.3.200:9"));
        assert_eq!(of("1.2.3.4:1"), of("[::ffff:1.2.3.9]:9"));
        assert_ne!(of("1.2.3.4:1"), of("1.2.4.4:1"));
        assert_eq!(of("[2a00:1:2:3::1]:1"), of("[2a00:1:2:4::1]:1"));
        assert_eq!(of("127.0.0.1:1"), None);
        assert_eq!(of("[::1]:1"), None);
    }
}

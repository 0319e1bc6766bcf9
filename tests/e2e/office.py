"""Configuration of a small office: phones on one network, peers on another, both by waiver without encryption; what a module is about is appended."""

PARTS = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
listeners:
  - {{name: udp, transport: udp, address: "PHONES.1:5060"}}
  - {{name: lan, transport: udp, address: "LAN.1:5060"}}
zones:
  - {{name: phones, listeners: [udp], sources: [PHONES.0/24], media: rtp, nat: yes, registration: yes}}
  - {{name: lan, listeners: [lan], sources: [LAN.0/24], media: rtp, authenticate: no}}
waivers:
  - {{name: a, zone: phones, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
  - {{name: b, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test", expires: 2099-01-01}}
limits: {{register_min: 10s, {limits}}}
"""


def office(phones, lan, more):
    """A template for Gateway(config=...). phones, lan: the first three bytes of their networks, where the gateway is .1; more: peers, roles, routes."""
    return PARTS.replace("PHONES", phones).replace("LAN", lan) + more

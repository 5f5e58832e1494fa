"""RabbitMQ and Redis behind Sentinel as real servers on loopback, and what the road does when they fail."""

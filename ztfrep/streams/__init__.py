"""Alert streams: a Kafka topic is read, and predictions are written to a topic or to a folder."""

"""Alert packets: archives of Avro files to alert tables."""

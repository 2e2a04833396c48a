"""Alert packets: a reader of archives of Avro files, which writes alert tables."""

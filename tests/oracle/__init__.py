"""The vendor's SDK as a second opinion on our reading and our COCO: `make oracle`."""

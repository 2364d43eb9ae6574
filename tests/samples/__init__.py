"""Tests of the sample exports."""

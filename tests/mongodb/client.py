"""Lets tests say something to a MongoDB by pymongo, which shares no code with the crate.

usage: client.py URL CODE     CODE sees `mongo` (the client), `db` (the URL's database) and pymongo's modules
"""

import sys

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

URL, CODE = sys.argv[1:]
mongo = pymongo.MongoClient(URL, serverSelectionTimeoutMS=10000, connectTimeoutMS=5000, socketTimeoutMS=20000)
db = mongo.get_default_database("test")
exec(CODE)

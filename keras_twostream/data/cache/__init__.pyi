from keras_twostream.data.cache.contract import Contract as Contract
from keras_twostream.data.cache.folder import CacheFolder as CacheFolder
from keras_twostream.data.cache.folder import Entry as Entry
from keras_twostream.data.cache.packed_file import (
    PACKED_SUFFIX as PACKED_SUFFIX,
)
from keras_twostream.data.cache.packed_file import open_packed as open_packed
from keras_twostream.data.cache.packing import pack_video as pack_video
from keras_twostream.data.cache.source import PackedSource as PackedSource
from keras_twostream.data.cache.store import PackedStore as PackedStore

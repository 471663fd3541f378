"""Where results lie: one door to all files, the places behind it, and the ledger of cells."""

from dfkd.storage import layout as layout
from dfkd.storage.folder import FolderStorage as FolderStorage
from dfkd.storage.folder import file_at as file_at
from dfkd.storage.opening import open_storage as open_storage
from dfkd.storage.storage import Storage as Storage
from dfkd.storage.storage import StoredFile as StoredFile
